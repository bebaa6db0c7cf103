// What a log-in needs afterwards. It leaves the page and comes back, so this is kept in the tab, as real clients do.
export const store = {
  get: (key) => JSON.parse(sessionStorage.getItem(`login.${key}`) ?? "null") ?? undefined,
  set: (key, value) => sessionStorage.setItem(`login.${key}`, JSON.stringify(value)),
  delete: (key) => sessionStorage.removeItem(`login.${key}`),
};

/** Forget everything about an earlier log-in, the registration included: the server may have been restarted since. */
export function forget() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("login.")) sessionStorage.removeItem(key);
}

/** The part of the SDK's `OAuthClientProvider` that keeps things. */
export const keeper = {
  clientInformation: () => store.get("client"),
  saveClientInformation: (client) => store.set("client", client),
  tokens: () => store.get("tokens"),
  saveTokens: (tokens) => store.set("tokens", tokens),
  codeVerifier: () => store.get("verifier"),
  saveCodeVerifier: (verifier) => store.set("verifier", verifier),
  discoveryState: () => store.get("discovery"),
  saveDiscoveryState: (discovery) => store.set("discovery", discovery),
  invalidateCredentials(what) {
    for (const key of what === "all" ? ["client", "tokens", "verifier", "discovery"] : [what]) store.delete(key);
  },
};
