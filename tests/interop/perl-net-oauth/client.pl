# Net::OAuth (in 1.0A mode) signs, LWP sends. Reads one JSON document, prints one JSON line a step.
use strict;
use warnings;

use HTTP::Request;
use JSON::PP;
use LWP::UserAgent;
use Net::OAuth;
use URI::Escape qw(uri_escape_utf8 uri_unescape);

$Net::OAuth::PROTOCOL_VERSION = Net::OAuth::PROTOCOL_VERSION_1_0A;
$| = 1;

my $task  = decode_json(do { local $/; <STDIN> });
my $agent = LWP::UserAgent->new(timeout => 30);

sub report { print encode_json($_[0]), "\n" }

sub encoded { join '&', map { join '=', map { uri_escape_utf8($_) } @$_ } @{ $_[0] } }

# The fields that every message has; extra ones follow.
sub message {
    my ($kind, $method, $url, %more) = @_;
    my $message = Net::OAuth->request($kind)->new(
        consumer_key     => $task->{consumer_key},
        consumer_secret  => $task->{consumer_secret},
        consumer_secret  => $task->{consumer_secret},
        request_url      => $url,
        request_method   => $method,
        signature_method => $task->{signature_method},
        timestamp        => time,
        nonce            => join('', map { int rand 10 } 1 .. 20),
        %more,
    );
    $message->sign;
    return $message;
}

sub token_call {
    my ($kind, $url, %more) = @_;
    my $message  = message($kind, 'POST', $url, %more);
    my $response = $agent->post($url, Authorization => $message->to_authorization_header);
    die $response->status_line, ' ', $response->decoded_content, "\n" unless $response->is_success;
    my %answer = map { uri_unescape($_) } map { split /=/, $_, 2 } split /&/, $response->decoded_content;
    return (token => $answer{oauth_token}, token_secret => $answer{oauth_token_secret});
}

my %request_token = token_call('request token', $task->{request_token_url}, callback => 'oob');
report({ step => 'request token', status => 200 });
my %token = token_call('access token', $task->{access_token_url}, %request_token, verifier => $task->{verifier});
report({ step => 'access token', status => 200 });

for my $step (@{ $task->{steps} }) {
    my $url     = $task->{base_url} . $step->{path};
    my %signed  = map { $_->[0] => $_->[1] } @{ $step->{query} || [] }, @{ $step->{form} || [] };
    my $message = message('protected resource', $step->{method}, $url, %token, extra_params => \%signed);
    my $request = HTTP::Request->new(
        $step->{method} => $step->{query} ? $url . '?' . encoded($step->{query}) : $url,
        [ Authorization => $message->to_authorization_header ],
    );
    if ($step->{form}) {
        $request->content_type('application/x-www-form-urlencoded');
        $request->content(encoded($step->{form}));
    }
    elsif ($step->{json}) {
        my $body = $step->{json};
        utf8::encode($body);
        $request->content_type('application/json');
        $request->content($body);
    }
    my $response = $agent->request($request);
    report({ step => $step->{name}, status => $response->code + 0, body => $response->decoded_content });
}
