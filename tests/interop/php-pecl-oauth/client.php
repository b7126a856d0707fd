<?php
// PECL oauth signs and sends. Reads one JSON document, prints one JSON line a step.
declare(strict_types=1);

$task = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);

function report(array $line): void
{
    echo json_encode($line, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
}

function query(array $pairs): string
{
    return implode('&', array_map(fn ($pair) => implode('=', array_map('rawurlencode', $pair)), $pairs));
}

$method = ['HMAC-SHA1' => OAUTH_SIG_METHOD_HMACSHA1, 'HMAC-SHA256' => OAUTH_SIG_METHOD_HMACSHA256];
$oauth = new OAuth(
    $task['consumer_key'],
    $task['consumer_secret'],
    $method[$task['signature_method']],
    OAUTH_AUTH_TYPE_AUTHORIZATION
);

$token = $oauth->getRequestToken($task['request_token_url'], 'oob', OAUTH_HTTP_METHOD_POST);
report(['step' => 'request token', 'status' => 200]);
$oauth->setToken($token['oauth_token'], $token['oauth_token_secret']);
$token = $oauth->getAccessToken($task['access_token_url'], '', $task['verifier'], OAUTH_HTTP_METHOD_POST);
report(['step' => 'access token', 'status' => 200]);
$oauth->setToken($token['oauth_token'], $token['oauth_token_secret']);

foreach ($task['steps'] as $step) {
    $url = $task['base_url'] . $step['path'] . ($step['query'] ? '?' . query($step['query']) : '');
    $headers = $step['json'] ? ['Content-Type' => 'application/json'] : [];
    $body = $step['form'] ? array_column($step['form'], 1, 0) : ($step['json'] ?? []);
    try {
        $oauth->fetch($url, $body, $step['method'], $headers);
    } catch (OAuthException) {
        // A refusal is an exception; its status and body are reported all the same.
    }
    $status = $oauth->getLastResponseInfo()['http_code'] ?? 0;
    report(['step' => $step['name'], 'status' => $status, 'body' => $oauth->getLastResponse()]);
}
