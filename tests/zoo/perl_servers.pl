# Servers on sockets by hand, a process for each, as CGI scripts were before there was PSGI.
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;

my $APP       = 'https://app.example.com';
my %REVISIONS = map { $_ => 1 } qw(2025-11-25 2025-06-18 2025-03-26);
my %REASONS   = (
    200 => 'OK', 202 => 'Accepted', 204 => 'No Content', 400 => 'Bad Request', 403 => 'Forbidden', 404 => 'Not Found',
    405 => 'Method Not Allowed', 421 => 'Misdirected Request', 500 => 'Internal Server Error',
);
my $json = JSON::PP->new->utf8->canonical;
my %sessions;

sub send_answer {
    my ($socket, $status, $headers, $body) = @_;
    $body = '' unless defined $body;
    print $socket "HTTP/1.1 $status $REASONS{$status}\r\n";
    print $socket "$_: $headers->{$_}\r\n" for sort keys %$headers;
    print $socket 'Content-Length: ' . length($body) . "\r\n" unless $status == 204;
    print $socket "Connection: close\r\n\r\n$body";
}

sub failed {
    my ($status, $text, $id) = @_;
    return ($status, $json->encode({ jsonrpc => '2.0', id => $id, error => { code => -32000, message => $text } }));
}

sub post {
    my ($request, $headers, $body) = @_;
    my $message = eval { $json->decode($body) };
    return failed(400, 'Parse error') unless ref $message eq 'HASH' && $message->{method};
    my ($id, $session) = ($message->{id}, $request->{'mcp-session-id'});
    if ($message->{method} eq 'initialize') {
        $session = join '', map { sprintf '%04x', rand 65536 } 1 .. 8;
        $sessions{$session} = 1;
        $headers->{'Mcp-Session-Id'} = $session;
        my $asked = $message->{params}{protocolVersion} || '';
        my $result = {
            protocolVersion => $REVISIONS{$asked} ? $asked : '2025-11-25',
            capabilities    => { tools => {} },
            serverInfo      => { name => 'zoo', version => '1' },
        };
        return (200, $json->encode({ jsonrpc => '2.0', id => $id, result => $result }));
    }
    my $version = $request->{'mcp-protocol-version'};
    return failed(400, 'Unsupported protocol version', $id) if defined $version && !$REVISIONS{$version};
    return failed(400, 'Missing session ID', $id) unless defined $session;
    return failed(404, 'Session not found', $id) unless $sessions{$session};
    return (202, '') unless exists $message->{id};
    my $result = { ping => {}, 'tools/list' => { tools => [] } }->{ $message->{method} };
    return failed(200, 'Method not found', $id) unless $result;
    return (200, $json->encode({ jsonrpc => '2.0', id => $id, result => $result }));
}

sub answer {
    my ($fault, $socket) = @_;
    my $first = <$socket> or return;
    my ($method, $path) = split ' ', $first;
    my (%request, $body);
    while (defined(my $line = <$socket>)) {
        $line =~ s/\r?\n\z//;
        last if $line eq '';
        my ($name, $value) = split /:\s*/, $line, 2;
        $request{ lc $name } = $value;
    }
    read $socket, $body, $request{'content-length'} || 0;
    my ($origin, %headers) = ($request{origin}, 'Content-Type' => 'application/json', Vary => 'Origin');
    my @refused;
    @refused = failed(421, 'Host not served') unless ($request{host} || '') =~ /\A(127\.0\.0\.1|localhost):\d+\z/;
    @refused = failed(403, 'Origin not allowed') if defined $origin && $origin ne $APP;
    return send_answer($socket, $refused[0], \%headers, $refused[1]) if @refused;
    return send_answer($socket, 404, { 'Content-Type' => 'text/plain' }, 'Not Found')
        if $method eq 'OPTIONS' && $fault eq 'perl-preflight-404';
    if (defined $origin) {
        $headers{'Access-Control-Allow-Origin'}   = $origin;
        $headers{'Access-Control-Expose-Headers'} = 'Mcp-Session-Id';
    }
    if ($method eq 'OPTIONS') {
        $headers{'Access-Control-Allow-Methods'} = 'GET, POST, DELETE';
        $headers{'Access-Control-Allow-Headers'}
            = 'Authorization, Content-Type, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name';
        $headers{'Access-Control-Max-Age'} = 7200;
        return send_answer($socket, 204, \%headers);
    }
    if ($fault eq 'perl-die-page' && $method eq 'POST') {
        $headers{'Content-Type'} = 'text/html';
        return send_answer($socket, 500, \%headers, "<h1>Software error:</h1>\n<pre>Can't locate object method"
            . " &quot;new&quot; via package &quot;Tools&quot; at mcp.cgi line 12.\n</pre>");
    }
    my ($status, $text)
        = $path ne '/mcp'        ? failed(404, 'Not found')
        : $method eq 'POST'      ? post(\%request, \%headers, $body)
        : $method ne 'DELETE'    ? failed(405, 'Method Not Allowed')
        : delete $sessions{ $request{'mcp-session-id'} || '' } ? (204, '')
        :                          failed(404, 'Session not found');
    $headers{Allow} = 'POST, DELETE' if $status == 405;
    send_answer($socket, $status, \%headers, $text);
}

$| = 1;
$SIG{PIPE} = 'IGNORE';
my @children;
for my $fault (@ARGV) {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 32, ReuseAddr => 1) or die $!;
    print "$fault ", $listener->sockport, "\n";
    my $child = fork;
    die $! unless defined $child;
    if ($child) {
        push @children, $child;
        next;
    }
    while (1) {
        my $socket = $listener->accept or next;
        answer($fault, $socket);
        close $socket;
    }
}
$SIG{TERM} = sub { };
<STDIN>;
kill 'KILL', @children;
