<?php
// As published guides for PHP write it: the key as X-API-KEY, values read at the top level, success is 200 and nothing else.
// php top_level.php BASE_URL CLIENT_ID KEY
[, $base, $client, $key] = $argv;

function call_api($method, $url, $key, $body = null) {
    $ch = curl_init($url);
    curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($ch, CURLOPT_CUSTOMREQUEST, $method);
    curl_setopt($ch, CURLOPT_HTTPHEADER, ['X-API-KEY: ' . $key, 'Content-Type: application/json']);
    if ($body !== null) {
        curl_setopt($ch, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $response = json_decode(curl_exec($ch), true);
    $code = curl_getinfo($ch, CURLINFO_HTTP_CODE);
    curl_close($ch);
    if ($code !== 200) {
        throw new Exception($response['message'] ?? 'Unknown error');
    }
    return $response;
}

$balance = call_api('GET', "$base/api/$client/client/balance", $key);
$sent = call_api('POST', "$base/api/$client/messages/send", $key, [
    'client_id' => (int) $client, 'channel' => 'sms', 'recipient' => '254712345678', 'sender' => 'HOSPITAL',
    'body' => 'Your appointment is tomorrow',
]);
$bulk = call_api('POST', "$base/api/$client/sms/send", $key, [
    'recipient' => '254723456789', 'message' => 'Hello', 'sender' => 'HOSPITAL',
]);
$state = call_api('GET', "$base/api/$client/sms/status/" . $sent['message_id'], $key);
$history = call_api('GET', "$base/api/$client/sms/history?page=1&per_page=10", $key);
$refused = '';
try {
    call_api('POST', "$base/api/$client/messages/send", $key, ['channel' => 'sms', 'recipient' => '12', 'body' => 'x']);
} catch (Exception $e) {
    $refused = $e->getMessage();
}
echo json_encode([
    'balance' => $balance['balance'], 'id' => $sent['id'], 'status' => $sent['status'], 'sent' => $bulk['sent'],
    'state' => $state['status'], 'total' => $history['meta']['total'], 'refused' => $refused,
]);
