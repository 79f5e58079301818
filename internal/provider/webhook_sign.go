package provider

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// WebhookSigner signs requests as the Standard Webhooks specification says. During a
// change of secrets it signs with both, so that a receiver may know either.
type WebhookSigner struct{ keys []*standardwebhooks.Webhook }

// NewWebhookSigner takes secrets as whsec_ and base64, as the specification writes
// them, or else as the key itself. previous is the secret that was in force before;
// empty is none.
func NewWebhookSigner(secret, previous string) (*WebhookSigner, error) {
	key, err := webhookKey(secret)
	if err != nil {
		return nil, err
	}
	s := &WebhookSigner{keys: []*standardwebhooks.Webhook{key}}
	if previous != "" {
		if key, err = webhookKey(previous); err != nil {
			return nil, fmt.Errorf("previous_%w", err)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// Header returns the three headers of a signed body, with a signature for each secret,
// the one in force first.
func (s *WebhookSigner) Header(id string, at time.Time, body []byte) (http.Header, error) {
	signatures := make([]string, len(s.keys))
	for i, key := range s.keys {
		var err error
		if signatures[i], err = key.Sign(id, at, body); err != nil {
			return nil, err
		}
	}
	h := make(http.Header, 3)
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return h, nil
}

// secretPrefix is what a secret begins with that goes on in base64.
const secretPrefix = "whsec_"

// webhookKey signs and checks with one secret.
func webhookKey(secret string) (*standardwebhooks.Webhook, error) {
	if !strings.HasPrefix(secret, secretPrefix) {
		return standardwebhooks.NewWebhookRaw([]byte(secret))
	}
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errors.New("secret begins with whsec_ and does not go on in base64")
	}
	return key, nil
}
