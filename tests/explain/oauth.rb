# The gem `oauth`, each time misused as the case says. usage: oauth.rb CASE < task.json
require 'base64'
require 'json'
require 'oauth'

task = JSON.parse($stdin.read)

def token(task, consumer = {}, secret: task['token_secret'], key: task['consumer_secret'])
  consumer = OAuth::Consumer.new(task['consumer_key'], key, { site: task['url'], signature_method: 'HMAC-SHA1' }.merge(consumer))
  OAuth::AccessToken.new(consumer, task['token'], secret)
end

# Signed by the library, then changed, then sent.
def signed(task, method, path, *arguments)
  access = token(task)
  request = access.consumer.create_signed_request(method, path, access, {}, *arguments)
  yield request if block_given?
  place = URI(task['url'])
  Net::HTTP.start(place.host, place.port) { |http| http.request(request) }
end

path = '/rest/V1/products'
cases = {
  'right' => -> { token(task).get("#{path}?page=2") },
  'escaped secrets' => -> { token(task, key: OAuth::Helper.escape(task['consumer_secret'])).get(path) },
  'nil secret' => -> { token(task, secret: nil).get(path) },
  'inspect' => -> { token(task, secret: nil.inspect).get(path) },
  'slash lost' => -> { signed(task, :get, "#{path}/") { |request| request.instance_variable_set(:@path, path) } },
  'encode64' => lambda {
    signed(task, :get, path) do |request|
      value = request['authorization'][/oauth_signature="([^"]*)"/, 1]
      broken = Base64.encode64(Base64.decode64(OAuth::Helper.unescape(value)))
      request['authorization'] = request['authorization'].sub(value, OAuth::Helper.escape(broken))
    end
  },
  'encoded twice' => lambda {
    signed(task, :get, path) do |request|
      value = request['authorization'][/oauth_signature="([^"]*)"/, 1]
      request['authorization'] = request['authorization'].sub(value, OAuth::Helper.escape(value))
    end
  }
}
cases.fetch(ARGV[0]).call
