package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"volley/internal/message"
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

// sign returns the headers that prove who sent a body. It fails when the secret is
// none.
func sign(format, secret, address, id string, now time.Time, body []byte) (http.Header, error) {
	h := http.Header{}
	seconds := strconv.FormatInt(now.Unix(), 10)
	switch format {
	case message.CallbackSinch:
		// Sinch, Conversation API, callbacks: HMAC of body, nonce and time with dots between.
		nonce := uuid.NewString()
		h.Set(sinchAlgorithm, "HmacSHA256")
		h.Set(sinchNonce, nonce)
		h.Set(sinchTimestamp, seconds)
		h.Set(sinchSignature, keyed(secret, body, []byte("."+nonce+"."+seconds)))
		return h, nil
	case message.CallbackBird:
		// Bird, Notifications API, verifying a signature: HMAC of time, address and the
		// body's hash as raw bytes, a line each.
		sum := sha256.Sum256(body)
		h.Set(birdRequest, id)
		h.Set(birdTimestamp, seconds)
		h.Set(birdSignature, keyed(secret, []byte(seconds+"\n"+address+"\n"), sum[:]))
		return h, nil
	}
	signer, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	if strings.HasPrefix(secret, "whsec_") {
		signer, err = standardwebhooks.NewWebhook(secret)
	}
	if err != nil {
		return nil, err
	}
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return nil, err
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, seconds)
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return h, nil
}

func keyed(secret string, parts ...[]byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		mac.Write(part)
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
