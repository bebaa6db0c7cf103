// Servers on net/http with rs/cors, whose behaviour is written out here: the module needs a proxy to be fetched.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

const app = "https://app.example.com"

var revisions = []string{"2025-11-25", "2025-06-18", "2025-03-26"}

func contains(list []string, item string) bool {
	for _, each := range list {
		if strings.EqualFold(each, item) {
			return true
		}
	}
	return false
}

// rsCors is cors.New(cors.Options{…}).Handler of rs/cors 1.11.
type rsCors struct {
	methods, headers, exposed []string
	maxAge                    string
}

func (c rsCors) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		asked := r.Header.Get("Access-Control-Request-Method")
		if r.Method == http.MethodOptions && asked != "" {
			h := w.Header()
			h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
			names := r.Header.Get("Access-Control-Request-Headers")
			if origin == app && contains(c.methods, asked) && c.allHeaders(names) {
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Methods", strings.ToUpper(asked))
				if names != "" {
					h.Set("Access-Control-Allow-Headers", names)
				}
				if c.maxAge != "" {
					h.Set("Access-Control-Max-Age", c.maxAge)
				}
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Add("Vary", "Origin")
		if origin == app && contains(c.methods, r.Method) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			if len(c.exposed) > 0 {
				w.Header().Set("Access-Control-Expose-Headers", strings.Join(c.exposed, ", "))
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (c rsCors) allHeaders(names string) bool {
	for _, name := range strings.Split(names, ",") {
		if name != "" && !contains(c.headers, name) {
			return false
		}
	}
	return true
}

type message struct {
	ID     *json.RawMessage `json:"id"`
	Method string           `json:"method"`
	Params struct {
		Version string `json:"protocolVersion"`
	} `json:"params"`
}

type endpoint struct {
	lock     sync.Mutex
	sessions map[string]bool
}

func write(w http.ResponseWriter, status int, id *json.RawMessage, key string, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]interface{}{"jsonrpc": "2.0", "id": id, key: value})
}

func failed(w http.ResponseWriter, status int, id *json.RawMessage, text string) {
	write(w, status, id, "error", map[string]interface{}{"code": -32000, "message": text})
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.lock.Lock()
	defer e.lock.Unlock()
	session := r.Header.Get("Mcp-Session-Id")
	if r.Method == http.MethodDelete && e.sessions[session] {
		delete(e.sessions, session)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method == http.MethodDelete {
		failed(w, http.StatusNotFound, nil, "session not found")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, DELETE")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.Method == "" {
		failed(w, http.StatusBadRequest, nil, "parse error")
		return
	}
	if m.Method == "initialize" {
		random := make([]byte, 16)
		rand.Read(random)
		session = hex.EncodeToString(random)
		e.sessions[session] = true
		version := revisions[0]
		if contains(revisions, m.Params.Version) {
			version = m.Params.Version
		}
		w.Header().Set("Mcp-Session-Id", session)
		write(w, http.StatusOK, m.ID, "result", map[string]interface{}{
			"protocolVersion": version,
			"capabilities":    map[string]interface{}{"tools": map[string]interface{}{}},
			"serverInfo":      map[string]string{"name": "zoo", "version": "1"},
		})
		return
	}
	version := r.Header.Get("Mcp-Protocol-Version")
	switch {
	case version != "" && !contains(revisions, version):
		failed(w, http.StatusBadRequest, m.ID, "unsupported protocol version")
	case session == "":
		failed(w, http.StatusBadRequest, m.ID, "missing session")
	case !e.sessions[session]:
		failed(w, http.StatusNotFound, m.ID, "session not found")
	case m.ID == nil:
		w.WriteHeader(http.StatusAccepted)
	case m.Method == "ping":
		write(w, http.StatusOK, m.ID, "result", map[string]interface{}{})
	case m.Method == "tools/list":
		write(w, http.StatusOK, m.ID, "result", map[string]interface{}{"tools": []string{}})
	default:
		failed(w, http.StatusOK, m.ID, "method not found")
	}
}

func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		origin := r.Header.Get("Origin")
		switch {
		case host != "127.0.0.1" && host != "localhost":
			http.Error(w, "Host not served", http.StatusMisdirectedRequest)
		case origin != "" && origin != app:
			http.Error(w, "Origin not allowed", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func newHandler(fault string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", &endpoint{sessions: map[string]bool{}})
	c := rsCors{
		methods: []string{"GET", "POST", "DELETE"},
		headers: []string{"Authorization", "Content-Type", "Last-Event-ID", "Mcp-Session-Id", "MCP-Protocol-Version",
			"Mcp-Method", "Mcp-Name", "Accept"},
		exposed: []string{"Mcp-Session-Id"},
		maxAge:  "7200",
	}
	switch fault {
	case "go-rs-default-headers":
		c.headers = []string{"accept", "content-type", "x-requested-with"}
	case "go-rs-default-methods":
		c.methods = []string{"GET", "POST", "HEAD"}
	case "go-mux-post":
		inner := c.handler(mux)
		return guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				w.Header().Set("Allow", "DELETE, GET, POST")
				http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
				return
			}
			inner.ServeHTTP(w, r)
		}))
	}
	return guard(c.handler(mux))
}

func main() {
	for _, fault := range os.Args[1:] {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go http.Serve(listener, newHandler(fault))
		fmt.Println(fault, listener.Addr().(*net.TCPAddr).Port)
	}
	io.Copy(io.Discard, os.Stdin)
}
