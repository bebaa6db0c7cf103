// Servers on the JDK's own HTTP server, with a filter by hand and what Spring and servlets do.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class JavaServers {
    static final String APP = "https://app.example.com";
    static final String TOKEN = "zoo-token";
    static final List<String> REVISIONS = List.of("2025-11-25", "2025-06-18", "2025-03-26");
    static final String HEADERS = "Authorization, Content-Type, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, "
            + "Mcp-Method, Mcp-Name";

    final String fault;
    final Set<String> sessions = ConcurrentHashMap.newKeySet();

    JavaServers(String fault) {
        this.fault = fault;
    }

    static void send(HttpExchange exchange, int status, String type, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        if (!body.isEmpty()) {
            exchange.getResponseHeaders().set("Content-Type", type);
        }
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        if (bytes.length > 0) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
    }

    static void json(HttpExchange exchange, int status, String id, String rest) throws IOException {
        send(exchange, status, "application/json", "{\"jsonrpc\": \"2.0\", \"id\": " + id + ", " + rest + "}");
    }

    static void failed(HttpExchange exchange, int status, String id, String text) throws IOException {
        json(exchange, status, id, "\"error\": {\"code\": -32000, \"message\": \"" + text + "\"}");
    }

    static String find(String body, String pattern) {
        Matcher matcher = Pattern.compile(pattern).matcher(body);
        return matcher.find() ? matcher.group(1) : null;
    }

    void handle(HttpExchange exchange) throws IOException {
        var request = exchange.getRequestHeaders();
        var response = exchange.getResponseHeaders();
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String method = exchange.getRequestMethod();
        String path = exchange.getRequestURI().getPath();
        String host = request.getFirst("Host");
        String origin = request.getFirst("Origin");
        boolean hasLogin = fault.equals("java-star-headers");
        boolean isPublic = hasLogin && !path.equals("/mcp");
        response.set("Vary", "Origin");
        if (host == null || !host.matches("(127\\.0\\.0\\.1|localhost):\\d+")) {
            failed(exchange, 421, "null", "Host not served");
            return;
        }
        if (origin != null && !origin.equals(APP) && !isPublic) {
            failed(exchange, 403, "null", "Origin not allowed");
            return;
        }
        boolean isPreflight = method.equals("OPTIONS");
        if (isPreflight && fault.equals("java-preflight-500")) {
            send(exchange, 500, "text/html", "<html><body><h1>HTTP Status 500</h1><p>java.lang.NullPointerException");
            return;
        }
        if (isPreflight && fault.equals("java-post-only")) {
            // HttpServlet.doOptions
            response.set("Allow", "POST, TRACE, OPTIONS");
            send(exchange, 200, "", "");
            return;
        }
        String asked = String.valueOf(request.getFirst("Access-Control-Request-Headers")).toLowerCase();
        if (isPreflight && fault.equals("java-invalid-cors") && asked.contains("mcp-")) {
            send(exchange, 403, "text/plain", "Invalid CORS request");
            return;
        }
        if (origin != null) {
            response.set("Access-Control-Allow-Origin", isPublic ? "*" : origin);
            response.set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate");
        }
        if (isPreflight) {
            response.set("Access-Control-Allow-Methods", "GET, POST, DELETE");
            String allowed = fault.equals("java-invalid-cors") ? asked : HEADERS;
            response.set("Access-Control-Allow-Headers", hasLogin && !isPublic ? "*" : allowed);
            response.set("Access-Control-Max-Age", "7200");
            send(exchange, 204, "", "");
        } else if (isPublic) {
            document(exchange, path, "http://" + host);
        } else if (!path.equals("/mcp")) {
            failed(exchange, 404, "null", "Not found");
        } else if (hasLogin && !("Bearer " + TOKEN).equals(request.getFirst("Authorization"))) {
            String metadata = "http://" + host + "/.well-known/oauth-protected-resource/mcp";
            response.set("WWW-Authenticate", "Bearer resource_metadata=\"" + metadata + "\"");
            failed(exchange, 401, "null", "Unauthorized");
        } else {
            answer(exchange, method, request.getFirst("Mcp-Session-Id"), body);
        }
    }

    static void document(HttpExchange exchange, String path, String base) throws IOException {
        String body = switch (path) {
            case "/.well-known/oauth-protected-resource/mcp" ->
                "{'resource': 'BASE/mcp', 'authorization_servers': ['BASE']}";
            case "/.well-known/oauth-authorization-server" ->
                "{'issuer': 'BASE', 'authorization_endpoint': 'BASE/authorize', 'token_endpoint': 'BASE/token', "
                    + "'registration_endpoint': 'BASE/register', 'response_types_supported': ['code'], "
                    + "'code_challenge_methods_supported': ['S256']}";
            case "/token" -> "{'error': 'unsupported_grant_type'}";
            case "/register" -> "{'error': 'invalid_client_metadata'}";
            default -> "{'error': 'not found'}";
        };
        int status = path.startsWith("/.well-known/") ? (body.contains("not found") ? 404 : 200) : 400;
        send(exchange, status, "application/json", body.replace('\'', '"').replace("BASE", base));
    }

    void answer(HttpExchange exchange, String method, String session, String body) throws IOException {
        if (method.equals("DELETE")) {
            if (session != null && sessions.remove(session)) {
                send(exchange, 204, "", "");
            } else {
                failed(exchange, 404, "null", "Session not found");
            }
            return;
        }
        if (!method.equals("POST")) {
            exchange.getResponseHeaders().set("Allow", "POST, DELETE");
            send(exchange, 405, "text/plain", "Method Not Allowed");
            return;
        }
        String name = find(body, "\"method\"\\s*:\\s*\"([^\"]*)\"");
        String id = find(body, "\"id\"\\s*:\\s*(\\d+|\"[^\"]*\")");
        String version = exchange.getRequestHeaders().getFirst("MCP-Protocol-Version");
        if (name == null || !body.trim().endsWith("}")) {
            failed(exchange, 400, "null", "Parse error");
        } else if (name.equals("initialize")) {
            String opened = UUID.randomUUID().toString();
            sessions.add(opened);
            exchange.getResponseHeaders().set("Mcp-Session-Id", opened);
            String asked = find(body, "\"protocolVersion\"\\s*:\\s*\"([^\"]*)\"");
            String spoken = REVISIONS.contains(asked) ? asked : REVISIONS.get(0);
            json(exchange, 200, id, "\"result\": {\"protocolVersion\": \"" + spoken + "\", \"capabilities\": "
                    + "{\"tools\": {}}, \"serverInfo\": {\"name\": \"zoo\", \"version\": \"1\"}}");
        } else if (version != null && !REVISIONS.contains(version)) {
            failed(exchange, 400, id, "Unsupported protocol version");
        } else if (session == null) {
            failed(exchange, 400, id, "Missing session ID");
        } else if (!sessions.contains(session)) {
            failed(exchange, 404, id, "Session not found");
        } else if (id == null) {
            send(exchange, 202, "", "");
        } else if (name.equals("ping")) {
            json(exchange, 200, id, "\"result\": {}");
        } else if (name.equals("tools/list")) {
            json(exchange, 200, id, "\"result\": {\"tools\": []}");
        } else {
            failed(exchange, 200, id, "Method not found");
        }
    }

    public static void main(String[] faults) throws IOException {
        for (String fault : faults) {
            var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
            var site = new JavaServers(fault);
            server.createContext("/", site::handle);
            server.setExecutor(Executors.newCachedThreadPool());
            server.start();
            System.out.println(fault + " " + server.getAddress().getPort());
        }
        while (System.in.read() >= 0) {
            // until it is closed
        }
        System.exit(0);
    }
}
