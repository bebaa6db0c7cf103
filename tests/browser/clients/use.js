// What is asked of a client that is only to show that it connects: the tools' names, and one call.
export const SUM = { name: "calculateSum", arguments: { a: 19, b: 23 } };

/** Use a connected client of the official kind, and close it. */
export async function use(client) {
  const { tools } = await client.listTools();
  const { content } = await client.callTool(SUM);
  await client.close();
  return { tools: tools.map(({ name }) => name), sum: content[0].text };
}
