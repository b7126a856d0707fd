# Net::OAuth, each time misused as the case says. usage: net-oauth.pl CASE < task.json
use strict;
use warnings;

use HTTP::Request;
use JSON::PP;
use LWP::UserAgent;
use Net::OAuth;

$Net::OAuth::PROTOCOL_VERSION = Net::OAuth::PROTOCOL_VERSION_1_0A;

my $task = decode_json(do { local $/; <STDIN> });
my $url  = $task->{url} . '/rest/V1/products';

sub get {
    my ($sent, %more) = @_;
    my $message = Net::OAuth->request('protected resource')->new(
        consumer_key     => $task->{consumer_key},
        consumer_secret  => $task->{consumer_secret},
        token            => $task->{token},
        token_secret     => $task->{token_secret},
        request_url      => $url,
        request_method   => 'GET',
        signature_method => 'HMAC-SHA1',
        timestamp        => 1700000000,
        nonce            => join('', map { int rand 10 } 1 .. 20),
        %more,
    );
    $message->sign;
    my $header = $message->to_authorization_header;
    LWP::UserAgent->new->request(HTTP::Request->new(GET => $sent, [ Authorization => $header ]));
}

my %cases = (
    'right'            => sub { get("$url?page=2", extra_params => { page => 2 }) },
    'one value a name' => sub { get("$url?a=3&a=1&b=2", extra_params => { a => 3, a => 1, b => 2 }) },
    'joined strings'   => sub { get("$url?price=1&price-max=2", extra_params => { 'price' => 1, 'price-max' => 2 }) },
    'UTF-8 octets'     => sub { get("$url?q=K%C3%B6ln", extra_params => { q => "K\xc3\xb6ln" }) },
    'encoded fields'   => sub { get("$url?q=a%20b", extra_params => { q => 'a%20b' }) },
    'no query'         => sub { get("$url?page=2") },
);
$cases{ $ARGV[0] }->();
