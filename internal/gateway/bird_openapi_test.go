package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// birdDocument is Bird's OpenAPI document as Bird publishes it, with the parameters
// of its path, without which it is none, and for any host.
func birdDocument(t *testing.T) *openapi3.T {
	t.Helper()
	raw, err := os.ReadFile("../dialect/bird_openapi.json")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	require.NoError(t, err)
	doc.Servers = nil
	for _, name := range []string{"workspaceId", "channelId"} {
		item := doc.Paths.Find("/workspaces/{workspaceId}/channels/{channelId}/batch/messages")
		item.Parameters = append(item.Parameters, &openapi3.ParameterRef{
			Value: openapi3.NewPathParameter(name).WithSchema(openapi3.NewUUIDSchema()),
		})
	}
	return doc
}

// Requests and answers of the submit are those of Bird's document, both ways. What the
// document itself refuses of a request is marked as wrong, the example's message
// without a text included.
func TestBirdBatchesConformToBirdsDocument(t *testing.T) {
	t.Parallel()
	router, err := gorillamux.NewRouter(birdDocument(t))
	require.NoError(t, err)
	b := newBirdEnv(t, nil)
	example, err := os.ReadFile("../../examples/bird.json")
	require.NoError(t, err)
	for _, c := range []struct {
		target, body string
		status       int
		wrong        bool
	}{
		{target: birdSubmit, body: birdText("+15550001111", "+15550002222"), status: 202},
		{target: birdSubmit, body: string(example), status: 202, wrong: true},
		{target: birdSubmit, body: birdBad, status: 202, wrong: true},
		{target: birdSubmit, body: birdText(strings.Split(strings.Repeat("a@example.com ", 101), " ")[:101]...), status: 400},
		{target: birdSubmit, body: `{"messageRequests":[]}`, status: 400, wrong: true},
		{target: birdSubmit, body: `{"messageRequests":`, status: 400, wrong: true},
		{target: "/workspaces/" + elsewhere + "/channels/" + channel + "/batch/messages", body: birdText("+15550001111"), status: 404},
		{target: birdSubmit, body: `{}`, status: 422},
		{target: birdSubmit, body: `{"messageRequests":[],"x":1}`, status: 422, wrong: true},
	} {
		t.Run(fmt.Sprintf("%d %.40s", c.status, c.body), func(t *testing.T) {
			headers := []string{"Content-Type: application/json", "Authorization: AccessKey " + acmeKey}
			r := b.call(http.MethodPost, c.target, c.body, headers...)
			require.Equal(t, c.status, r.Code, r.Body.String())
			conforms(t, router, http.MethodPost, c.target, c.body, headers, r, c.wrong)
		})
	}
}

// The ids of an answer are UUIDs, which the library does not check by itself.
func TestTheIDsOfABirdBatchAreUUIDs(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	r := b.bird("POST", birdSubmit, birdText("+15550001111"))
	var doc any
	require.NoError(t, json.Unmarshal(r.Body.Bytes(), &doc))
	schema := birdDocument(t).Components.Schemas["Batch"].Value
	strict := openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error { return uuid.Validate(s) }))
	require.NoError(t, schema.VisitJSON(doc, strict, openapi3.VisitAsResponse()))
	require.Error(t, schema.VisitJSON(map[string]any{"id": "b1", "messages": []any{}}, strict, openapi3.VisitAsResponse()))
}
