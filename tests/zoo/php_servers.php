<?php
// An endpoint in one script, under PHP's own server. ZOO names the fault; sessions are files in ZOO_FOLDER.
$fault = getenv('ZOO');
$app = 'https://app.example.com';
$revisions = ['2025-11-25', '2025-06-18', '2025-03-26'];
$method = $_SERVER['REQUEST_METHOD'];
$origin = $_SERVER['HTTP_ORIGIN'] ?? null;

if ($fault === 'php-headers-sent') {
    // As if there were a blank line before <?php, with no output_buffering.
    while (ob_get_level()) {
        ob_end_flush();
    }
    ini_set('display_errors', '0');
    echo "\n";
    flush();
}

function send(int $status, ?array $message = null): never
{
    http_response_code($status);
    if ($message !== null) {
        header('Content-Type: application/json');
        echo json_encode($message);
    }
    exit;
}

function failed(int $status, string $text, $id = null): never
{
    send($status, ['jsonrpc' => '2.0', 'id' => $id, 'error' => ['code' => -32000, 'message' => $text]]);
}

header('Vary: Origin');
if (!preg_match('/^(127\.0\.0\.1|localhost):\d+$/', $_SERVER['HTTP_HOST'] ?? '')) {
    failed(421, 'Host not served');
}
if ($origin !== null && $origin !== $app) {
    failed(403, 'Origin not allowed');
}
if ($fault === 'php-post-only' && $method !== 'POST') {
    header('Allow: POST');
    failed(405, 'Method Not Allowed');
}
if ($origin !== null) {
    header("Access-Control-Allow-Origin: $app");
    header('Access-Control-Expose-Headers: Mcp-Session-Id');
}
if ($method === 'OPTIONS') {
    header('Access-Control-Allow-Methods: GET, POST, DELETE');
    header('Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID, Mcp-Session-Id, '
        . 'MCP-Protocol-Version, Mcp-Method, Mcp-Name');
    header('Access-Control-Max-Age: 7200');
    send(204);
}
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/mcp') {
    failed(404, 'Not found');
}

$session = $_SERVER['HTTP_MCP_SESSION_ID'] ?? null;
$file = getenv('ZOO_FOLDER') . "/$fault-" . preg_replace('/\W/', '', (string) $session);
if ($method === 'DELETE') {
    if (!$session || !is_file($file)) {
        failed(404, 'Session not found');
    }
    unlink($file);
    send(204);
}
if ($method !== 'POST') {
    header('Allow: POST, DELETE');
    failed(405, 'Method Not Allowed');
}
if ($fault === 'php-warning-output') {
    $limit = $settings['limit']; // Undefined variable: display_errors prints it as HTML
}
$message = json_decode(file_get_contents('php://input'), true);
if (!is_array($message) || !is_string($message['method'] ?? null)) {
    failed(400, 'Parse error');
}
$id = $message['id'] ?? null;
if ($message['method'] === 'initialize') {
    $session = bin2hex(random_bytes(16));
    touch(getenv('ZOO_FOLDER') . "/$fault-$session");
    header("Mcp-Session-Id: $session");
    $asked = $message['params']['protocolVersion'] ?? '';
    send(200, ['jsonrpc' => '2.0', 'id' => $id, 'result' => [
        'protocolVersion' => in_array($asked, $revisions, true) ? $asked : $revisions[0],
        'capabilities' => ['tools' => new stdClass()],
        'serverInfo' => ['name' => 'zoo', 'version' => '1'],
    ]]);
}
$version = $_SERVER['HTTP_MCP_PROTOCOL_VERSION'] ?? null;
if ($version !== null && !in_array($version, $revisions, true)) {
    failed(400, 'Unsupported protocol version', $id);
}
if (!$session || !is_file($file)) {
    failed($session ? 404 : 400, 'Session not found', $id);
}
if (!array_key_exists('id', $message)) {
    send(202);
}
$results = ['ping' => new stdClass(), 'tools/list' => ['tools' => []]];
if (!isset($results[$message['method']])) {
    failed(200, 'Method not found', $id);
}
send(200, ['jsonrpc' => '2.0', 'id' => $id, 'result' => $results[$message['method']]]);
