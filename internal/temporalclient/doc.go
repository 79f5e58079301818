// Package temporalclient connects to Temporal the way every part of Volley does:
// address, namespace, TLS and API key from the standard environment and TOML
// profile, our logger and our metrics inside the SDK, and one clear sentence when
// the server does not answer.
package temporalclient
