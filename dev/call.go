package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// gatewayKey is the key of the one tenant of the sandbox's configuration.
const gatewayKey = "sandbox-gateway-key"

// call is the request that submits an example over HTTP, as a client of the example's
// dialect makes it.
type call struct {
	file, url string
	headers   []string // "Name: value"
}

// call is how the example is submitted to the gateway at an address.
func (e example) call(gateway string) call {
	c := call{file: e.file}
	auth := func(h string) { c.headers = append(c.headers, h) }
	switch e.dialect {
	case "bird":
		c.url = gateway + "/workspaces/11111111-2222-4333-8444-555555555555/channels/66666666-7777-4888-8999-000000000000/batch/messages"
		auth("Authorization: AccessKey " + gatewayKey)
	case "sinch":
		c.url = gateway + "/v1/projects/22222222-3333-4444-8555-666666666666/messages"
		auth("Authorization: Bearer " + gatewayKey)
	case "imkit":
		c.url = gateway + "/messages/batch"
		auth("IM-API-KEY: " + gatewayKey)
	case "bluesky":
		c.url = gateway + "/xrpc/chat.bsky.convo.sendMessageBatch"
		auth("Authorization: Bearer " + gatewayKey)
	default:
		q := url.Values{"dialect": {e.dialect}}
		if e.channel != "" {
			q.Set("channel", e.channel)
		}
		if e.text != "" {
			q.Set("text", e.text)
		}
		c.url = gateway + "/v1/batches?" + q.Encode()
		auth("Authorization: Bearer " + gatewayKey)
	}
	kind := map[string]string{".json": "application/json", ".jsonl": "application/jsonl", ".csv": "text/csv"}[filepath.Ext(e.file)]
	c.headers = append(c.headers, "Content-Type: "+kind)
	return c
}

// once is the header that makes a repetition the same submit.
func (c call) once() string { return "Idempotency-Key: demo-" + c.file }

// curl is the call as a command; dir is where the examples are. With once a repetition
// answers with the same batch.
func (c call) curl(dir string, once bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "curl -sS '%s'", c.url)
	headers := c.headers
	if once {
		headers = append(headers, c.once())
	}
	for _, h := range headers {
		fmt.Fprintf(&b, " -H '%s'", h)
	}
	fmt.Fprintf(&b, " --data-binary @%s", filepath.Join(dir, c.file))
	return b.String()
}
