// What both generations of the official client are put through, in the words that they share.

/** Collects what the SDK's own `fetch` sees. */
function recorder() {
  const exchanges = [];
  const record = async (url, init) => {
    const response = await fetch(url, init);
    exchanges.push({
      method: init?.method ?? "GET",
      status: response.status,
      type: response.headers.get("Content-Type"),
      challenge: response.headers.get("WWW-Authenticate"),
    });
    return response;
  };
  return { exchanges, record };
}

/**
 * One conversation, from the first 401 to the end; what came of it.
 *
 * @param connect (headers, fetch) → {client, transport, call}: a client of the SDK, connected
 * @param discover () → the document that OAuth discovery finds for the endpoint
 */
export async function converse({ connect, discover, token }) {
  const stranger = recorder();
  const refusal = await connect({}, stranger.record).then(
    () => "connected",
    (error) => String(error),
  );
  const { resource, authorization_servers: servers } = await discover();

  const { exchanges, record } = recorder();
  const { client, transport, call } = await connect({ Authorization: `Bearer ${token}` }, record);
  const { tools } = await client.listTools();
  const sum = await call({ name: "calculateSum", arguments: { a: 19, b: 23 } });

  const progress = [];
  const onprogress = (report) => progress.push(`${report.progress}/${report.total}`);
  const landing = await call({ name: "countdown", arguments: { n: 3 } }, { onprogress });

  const session = Boolean(transport.sessionId);
  if (session) {
    // The client opens the GET stream by itself, some time after it has connected.
    while (!exchanges.some(({ method }) => method === "GET")) await new Promise((wake) => setTimeout(wake, 20));
    await transport.terminateSession();
  }
  await client.close();

  return {
    refusal,
    challenge: stranger.exchanges[0].challenge,
    discovered: { resource, servers },
    revision: transport.protocolVersion,
    session,
    tools: tools.map((tool) => tool.name),
    sum: sum.content[0].text,
    progress,
    landing: landing.content[0].text,
    exchanges: [...stranger.exchanges, ...exchanges].map(({ method, status, type }) => [method, status, type]),
  };
}
