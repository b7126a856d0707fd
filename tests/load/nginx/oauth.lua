-- The check that Countersign makes, in Lua: parse, timestamp, credentials, base string, HMAC, constant-time comparison,
-- the nonce as one SET NX EX, and the grant of what the route needs. Written to be fast, so that what is compared is a
-- fair opponent.
--
-- Credentials and grant come from Redis with each request, on kept connections, as the nonce goes there: nothing tells
-- nginx of a token that is revoked, and Countersign refuses one within a second. With M.remembered they stay in a
-- shared dictionary for that many seconds, and what is revoked opens for as long: less of a check, measured beside it.

local bit = require "bit"
local ffi = require "ffi"
local redis = require "nginx.redis"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *d, size_t n,
                    unsigned char *md, unsigned int *md_len);
]]

local byte, find, gmatch, gsub, sub = string.byte, string.find, string.gmatch, string.gsub, string.sub
local bor, bxor = bit.bor, bit.bxor
local concat, sort = table.concat, table.sort
local char, format = string.char, string.format
local digest, digest_length = ffi.new "unsigned char[64]", ffi.new "unsigned int[1]"

local M = { redis_port = 0, window = 600, kept = 1920, remembered = 0 }

local function encoded(octet)
  return format("%%%02X", byte(octet))
end

-- RFC 5849 section 3.6.
local function encode(text)
  if not find(text, "[^%w%-%._~]") then return text end
  return (gsub(text, "[^%w%-%._~]", encoded))
end

local function decoded(hex)
  return char(tonumber(hex, 16))
end

local function decode(text)
  if not find(text, "%", 1, true) then return text end
  return (gsub(text, "%%(%x%x)", decoded))
end

local function hmac(method, key, base)
  if method == "HMAC-SHA1" then return ngx.hmac_sha1(key, base) end
  ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, base, #base, digest, digest_length)
  return ffi.string(digest, digest_length[0])
end

local function equal(one, other)
  if #one ~= #other then return false end
  local differs = 0
  for at = 1, #one do differs = bor(differs, bxor(byte(one, at), byte(other, at))) end
  return differs == 0
end

local function refuse(status, cause)
  ngx.status = status
  ngx.header["WWW-Authenticate"] = 'OAuth oauth_problem="' .. cause .. '"'
  ngx.say('{"message":"', cause, '"}')
  return ngx.exit(status)
end

local function connect()
  local connection = redis:new()
  connection:set_timeout(250)
  if connection:connect("127.0.0.1", M.redis_port) then return connection end
end

-- "TOKEN CONSUMER_SECRET&TOKEN_SECRET RESOURCE,RESOURCE,"; both secrets are letters and digits, so the key needs no
-- encoding.
local function credentials(key)
  local known = M.remembered > 0 and ngx.shared.credentials:get(key)
  if known then return known end
  local connection, fault = connect(), nil
  if not connection then return nil, "store_unavailable" end
  known, fault = connection:get("lua:" .. key)
  -- A connection that failed may still get this answer: it is nobody's next.
  if fault then return nil, "store_unavailable" end
  connection:set_keepalive(60000, 128)
  if not known or known == ngx.null then return nil, "consumer_key_unknown" end
  if M.remembered > 0 then ngx.shared.credentials:set(key, known, M.remembered) end
  return known
end

local function claim(key, token, timestamp, nonce)
  local connection = connect()
  if not connection then return nil, "store_unavailable" end
  local name = "nonce:" .. key .. ":" .. token .. ":" .. timestamp .. ":" .. nonce
  local set, fault = connection:set(name, "1", "NX", "EX", M.kept)
  if fault then return nil, "store_unavailable" end
  connection:set_keepalive(60000, 128)
  if set == ngx.null then return nil, "nonce_used" end
  return true
end

function M.check()
  local variables = ngx.var
  local header = variables.http_authorization
  if not header or sub(header, 1, 6) ~= "OAuth " then return refuse(401, "parameter_absent") end
  local oauth, pairs = {}, {}
  for name, value in gmatch(header, '([%w_]+)%s*=%s*"([^"]*)"') do
    local plain = decode(value)
    if oauth[name] then return refuse(400, "parameter_rejected") end
    oauth[name] = plain
    if name ~= "oauth_signature" and name ~= "realm" then pairs[#pairs + 1] = name .. "=" .. encode(plain) end
  end
  local query = variables.args
  if query then
    for name, value in gmatch(query, "([^&=]+)=?([^&]*)") do
      name, value = gsub(name, "+", " "), gsub(value, "+", " ")
      pairs[#pairs + 1] = encode(decode(name)) .. "=" .. encode(decode(value))
    end
  end
  local key, token, method = oauth.oauth_consumer_key, oauth.oauth_token, oauth.oauth_signature_method
  local timestamp, nonce, signature = oauth.oauth_timestamp, oauth.oauth_nonce, oauth.oauth_signature
  if not (key and token and method and timestamp and nonce and signature) then
    return refuse(400, "parameter_absent")
  end
  if method ~= "HMAC-SHA1" and method ~= "HMAC-SHA256" then return refuse(400, "signature_method_rejected") end
  local at = tonumber(timestamp)
  if not at or math.abs(at - ngx.time()) > M.window then return refuse(401, "timestamp_refused") end

  local known, fault = credentials(key)
  if not known then return refuse(fault == "store_unavailable" and 503 or 401, fault) end
  if sub(known, 1, 32) ~= token then return refuse(401, "token_rejected") end

  sort(pairs)
  local path = variables.request_uri
  local mark = find(path, "?", 1, true)
  if mark then path = sub(path, 1, mark - 1) end
  local url = variables.scheme .. "://" .. variables.http_host .. path
  local base = variables.request_method .. "&" .. encode(url) .. "&" .. encode(concat(pairs, "&"))
  local secrets_end = find(known, " ", 34, true)
  if not equal(ngx.encode_base64(hmac(method, sub(known, 34, secrets_end - 1), base)), signature) then
    return refuse(401, "signature_invalid")
  end

  local fresh, unfresh = claim(key, token, timestamp, nonce)
  if not fresh then return refuse(unfresh == "nonce_used" and 401 or 503, unfresh) end
  if not find(known, variables.resource .. ",", secrets_end + 1, true) then
    return refuse(401, "resource_denied")
  end
  variables.consumer_key = key
  variables.user_type = "integration"
end

return M
