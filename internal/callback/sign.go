package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"volley/internal/message"
	"volley/internal/provider"
)

// Headers of Sinch's and of Bird's signatures.
const (
	sinchSignature = "x-sinch-webhook-signature"
	sinchTimestamp = "x-sinch-webhook-signature-timestamp"
	sinchNonce     = "x-sinch-webhook-signature-nonce"
	sinchAlgorithm = "x-sinch-webhook-signature-algorithm"

	birdSignature = "messagebird-signature"
	birdTimestamp = "messagebird-request-timestamp"
	birdRequest   = "messagebird-request-id"
)

// sign returns the headers that prove who sent a body. It fails when a secret is none.
// Sinch's and Bird's have room for one signature, which is that of the secret in force.
func sign(format string, t Tenant, address, id string, now time.Time, body []byte) (http.Header, error) {
	h := http.Header{}
	seconds := strconv.FormatInt(now.Unix(), 10)
	switch format {
	case message.CallbackSinch:
		// Sinch, Conversation API, callbacks: HMAC of body, nonce and time with dots between.
		nonce := uuid.NewString()
		h.Set(sinchAlgorithm, "HmacSHA256")
		h.Set(sinchNonce, nonce)
		h.Set(sinchTimestamp, seconds)
		h.Set(sinchSignature, keyed(t.Secret, body, []byte("."+nonce+"."+seconds)))
		return h, nil
	case message.CallbackBird:
		// Bird, Notifications API, verifying a signature: HMAC of time, address and the
		// body's hash as raw bytes, a line each.
		sum := sha256.Sum256(body)
		h.Set(birdRequest, id)
		h.Set(birdTimestamp, seconds)
		h.Set(birdSignature, keyed(t.Secret, []byte(seconds+"\n"+address+"\n"), sum[:]))
		return h, nil
	}
	signer, err := provider.NewWebhookSigner(t.Secret, t.PreviousSecret)
	if err != nil {
		return nil, err
	}
	return signer.Header(id, now, body)
}

func keyed(secret string, parts ...[]byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		mac.Write(part)
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
