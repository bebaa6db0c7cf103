# Servers under WEBrick, with what Rails puts in front.
require "json"
require "securerandom"
require "webrick"

APP = "https://app.example.com".freeze
REVISIONS = %w[2025-11-25 2025-06-18 2025-03-26].freeze
HEADERS = "Authorization, Content-Type, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name".freeze

class MCP < WEBrick::HTTPServlet::AbstractServlet
  def initialize(server, fault, sessions)
    super(server)
    @fault = fault
    @sessions = sessions
  end

  def service(request, response)
    origin = request["Origin"]
    response["Vary"] = "Origin"
    if @fault == "ruby-host-authorization"
      # Rails answers for every Host that config.hosts lacks, with a page in development and with this elsewhere.
      response.status = 403
      response["Content-Type"] = "text/html; charset=utf-8"
      response.body = "<!DOCTYPE html><html><head><title>Action Controller: Exception caught</title></head>" \
                      "<body><header><h1>Blocked hosts: #{request["Host"]}</h1></header><p>To allow requests to " \
                      "these hosts, make sure they are valid hostnames, then add the following to your environment " \
                      "configuration:</p><pre>config.hosts &lt;&lt; \"#{request["Host"]}\"</pre></body></html>"
      return
    end
    return failed(response, 421, "Host not served") unless /\A(127\.0\.0\.1|localhost):\d+\z/.match?(request["Host"])
    return failed(response, 403, "Origin not allowed") unless [nil, APP].include?(origin)

    if origin
      response["Access-Control-Allow-Origin"] = origin
      response["Access-Control-Expose-Headers"] = "Mcp-Session-Id"
    end
    if request.request_method == "OPTIONS"
      response.status = 204
      response["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
      response["Access-Control-Allow-Headers"] = HEADERS
      response["Access-Control-Max-Age"] = "7200"
    elsif request.path != "/mcp"
      failed(response, 404, "Not found")
    elsif request.request_method == "POST" && @fault == "ruby-csrf"
      response.status = 422
      response["Content-Type"] = "text/plain"
      response.body = "ActionController::InvalidAuthenticityToken (Can't verify CSRF token authenticity.)"
    else
      answer(request, response, request["Mcp-Session-Id"])
    end
  end

  private

  def answer(request, response, session)
    case request.request_method
    when "DELETE"
      return failed(response, 404, "Session not found") unless @sessions.delete(session)

      response.status = 204
    when "POST"
      post(request, response, session)
    else
      response["Allow"] = "POST, DELETE"
      failed(response, 405, "Method Not Allowed")
    end
  end

  def post(request, response, session)
    message = JSON.parse(request.body.to_s)
    return failed(response, 400, "Invalid Request") unless message.is_a?(Hash) && message["method"].is_a?(String)

    id = message["id"]
    if message["method"] == "initialize"
      response["Mcp-Session-Id"] = SecureRandom.hex
      @sessions[response["Mcp-Session-Id"]] = true
      asked = message.dig("params", "protocolVersion")
      version = REVISIONS.include?(asked) ? asked : REVISIONS[0]
      info = { name: "zoo", version: "1" }
      return result(response, id, { protocolVersion: version, capabilities: { tools: {} }, serverInfo: info })
    end
    version = request["MCP-Protocol-Version"]
    return failed(response, 400, "Unsupported protocol version", id) if version && !REVISIONS.include?(version)
    return failed(response, session ? 404 : 400, "Session not found", id) unless @sessions[session]
    return response.status = 202 unless message.key?("id")

    results = { "ping" => {}, "tools/list" => { tools: [] } }
    return failed(response, 200, "Method not found", id) unless results.key?(message["method"])

    result(response, id, results[message["method"]])
  rescue JSON::ParserError
    failed(response, 400, "Parse error")
  end

  def result(response, id, value)
    json(response, 200, { jsonrpc: "2.0", id: id, result: value })
  end

  def failed(response, status, text, id = nil)
    json(response, status, { jsonrpc: "2.0", id: id, error: { code: -32_000, message: text } })
  end

  def json(response, status, value)
    response.status = status
    response["Content-Type"] = "application/json"
    response.body = JSON.generate(value)
  end
end

ARGV.each do |fault|
  quiet = WEBrick::Log.new(File::NULL)
  server = WEBrick::HTTPServer.new(BindAddress: "127.0.0.1", Port: 0, Logger: quiet, AccessLog: [])
  server.mount("/", MCP, fault, {})
  Thread.new { server.start }
  puts "#{fault} #{server.listeners[0].addr[1]}"
end
$stdout.flush
$stdin.read
exit!
