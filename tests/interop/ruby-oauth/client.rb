# The gem `oauth` signs and sends. Reads one JSON document, prints one JSON line a step.
require 'json'
require 'oauth'

$stdout.sync = true
task = JSON.parse($stdin.read)

def report(line)
  puts JSON.generate(line)
end

def encode(pairs)
  pairs.map { |pair| pair.map { |text| OAuth::Helper.escape(text) }.join('=') }.join('&')
end

consumer = OAuth::Consumer.new(
  task['consumer_key'], task['consumer_secret'],
  site: task['base_url'],
  signature_method: task['signature_method'],
  request_token_url: task['request_token_url'],
  access_token_url: task['access_token_url']
)
request_token = consumer.get_request_token
report(step: 'request token', status: 200)
access_token = request_token.get_access_token(oauth_verifier: task['verifier'])
report(step: 'access token', status: 200)

task['steps'].each do |step|
  path = step['path']
  path += "?#{encode(step['query'])}" if step['query']
  arguments =
    if step['form'] then [step['form'].to_h]
    elsif step['json'] then [step['json'].b, { 'Content-Type' => 'application/json' }]
    else []
    end
  begin
    response = access_token.request(step['method'].downcase.to_sym, path, *arguments)
  rescue OAuth::Problem => e
    response = e.request # the library names the response so
  end
  report(step: step['name'], status: response.code.to_i, body: response.body.dup.force_encoding('UTF-8'))
end
