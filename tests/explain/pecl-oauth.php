<?php
// PECL oauth, each time misused as the case says. usage: pecl-oauth.php CASE < task.json
declare(strict_types=1);

$task = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
$url = $task['url'] . '/rest/V1/products';

function client(array $task): OAuth
{
    $oauth = new OAuth($task['consumer_key'], $task['consumer_secret'], OAUTH_SIG_METHOD_HMACSHA1, OAUTH_AUTH_TYPE_AUTHORIZATION);
    $oauth->setToken($task['token'], $task['token_secret']);
    return $oauth;
}

function fetch(OAuth $oauth, string $url, string|array $body = [], string $method = 'GET', array $headers = []): void
{
    try {
        $oauth->fetch($url, $body, $method, $headers);
    } catch (OAuthException) {
        // Only what was sent counts.
    }
}

$cases = [
    'right' => fn () => fetch(client($task), "$url?page=2"),
    'one value a name' => fn () => fetch(client($task), "$url?a=3&a=1&b=2"),
    'JSON without a type' => fn () => fetch(client($task), $url, '{"sku":"a"}', 'POST'),
    'false' => function () use ($task, $url) {
        $oauth = client($task);
        $oauth->setToken($task['token'], var_export(false, true));
        fetch($oauth, $url);
    },
    'urlencoded secret' => function () use ($task, $url) {
        $task['consumer_secret'] = urlencode($task['consumer_secret']);
        fetch(client($task), $url);
    },
];
$cases[$argv[1]]();
