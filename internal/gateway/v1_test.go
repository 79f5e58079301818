package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

const one = `{"text":"hi","messages":[{"to":"+15550001111"}]}`

func TestASubmitIsAnsweredWithItsBatch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	r := b.acme("POST", "/v1/batches?dialect=volley", one)
	doc := r.json(http.StatusAccepted)
	require.Equal(t, "new-0", doc["id"])
	require.EqualValues(t, 1, doc["total"])
	require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
	require.Equal(t, "/v1/batches/new-0", r.Header().Get("Location"))
	require.Equal(t, "acme", b.requests[0].Tenant)
}

func TestTheSameKeyAnswersWithTheSameBatch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	first := b.acme("POST", "/v1/batches", one, "Idempotency-Key: k1").json(http.StatusAccepted)
	again := b.acme("POST", "/v1/batches", one, "Idempotency-Key: k1").json(http.StatusOK)
	require.Equal(t, first["id"], again["id"])
	require.Equal(t, true, again["existing"])
	other := b.acme("POST", "/v1/batches", strings.Replace(one, "hi", "ho", 1), "Idempotency-Key: k1").json(http.StatusConflict)
	require.Equal(t, "conflict", other["code"])
	flagged := b.acme("POST", "/v1/batches?ttl=2h", one, "Idempotency-Key: k1").json(http.StatusConflict)
	require.Equal(t, "conflict", flagged["code"])
}

func TestABatchThatWasJustStartedIsThere(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	ref := starter.Ref{Tenant: "acme", ID: "b1"}
	b.acme("GET", "/v1/batches/b1", "").json(http.StatusNotFound)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	require.Equal(t, "completed", b.acme("GET", "/v1/batches/b1", "").json(http.StatusOK)["state"])

	delete(b.batches, ref)
	b.states[ref] = message.BatchRunning
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	require.Equal(t, "running", b.acme("GET", "/v1/batches/b1", "").json(http.StatusOK)["state"], "not how the one before it ended")

	b.acme("GET", "/v1/batches/again", "").json(http.StatusNotFound)
	b.acme("POST", "/v1/batches/b1:redrive", `{"id":"again"}`).json(http.StatusAccepted)
	b.acme("GET", "/v1/batches/again", "").json(http.StatusOK)
}

func TestAnIDAndAKeyDoNotGoTogether(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one, "Idempotency-Key: k1").json(http.StatusBadRequest)
	require.Empty(t, b.batches)
}

func TestParametersThatStandForACSVHeaderAreRefusedElsewhere(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for _, q := range []string{"text=x", "channel=SMS", "priority=1", "metadata=a%3Db", "defaultRegion=DE", "dialect=bird&text=x"} {
		doc := b.acme("POST", "/v1/batches?"+q, one).json(http.StatusBadRequest)
		require.Contains(t, doc["detail"], "is for CSV files", q)
	}
	require.Empty(t, b.batches)
	b.acme("POST", "/v1/batches?text=Hi&channel=SMS", "to\n+15550001111\n").json(http.StatusAccepted)
	b.acme("POST", "/v1/batches?text=Hi", "\xff\xfet\x00o\x00\n\x00a\x00").json(http.StatusAccepted)
	doc := b.acme("POST", "/v1/batches?text=Hi", "\ufeff\r\n").json(http.StatusBadRequest)
	require.Contains(t, fmt.Sprint(doc["problems"]), "the request is empty")
}

func TestAFileOfAFormIsRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	form := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nto\r\n+15550001111\r\n--x--\r\n"
	doc := b.acme("POST", "/v1/batches?text=Hi", form, "Content-Type: multipart/form-data; boundary=x").json(http.StatusUnsupportedMediaType)
	require.Contains(t, doc["detail"], "send the file itself as the body")
	require.Empty(t, b.batches)
	b.acme("POST", "/v1/batches", one, "Content-Type: application/x-www-form-urlencoded").json(http.StatusAccepted) // curl -d
}

func TestAnEncodedBodyIsRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches", one, "Content-Encoding: gzip").json(http.StatusUnsupportedMediaType)
	b.acme("POST", "/v1/batches", one, "Content-Encoding: identity").json(http.StatusAccepted)
}

func TestARedriveCountsAgainstTheRate(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].Rate = 1 })
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	b.acme("POST", "/v1/batches/b1:redrive", "").json(http.StatusTooManyRequests)
}

func TestACallerWithoutAKeyIsAnsweredWithoutItsBody(t *testing.T) {
	t.Parallel()
	r := newEnv(t, nil).call("POST", "/v1/batches", one)
	r.json(http.StatusUnauthorized)
	require.Equal(t, "close", r.Header().Get("Connection"))
}

func TestWithoutAKeyNothingIsSaid(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for _, auth := range []string{"Bearer nobody", "Bearer ", "Basic " + acmeKey, acmeKey} {
		r := b.call("GET", "/v1/batches/b1", "", "Authorization: "+auth)
		require.Equal(t, "unauthorized", r.json(http.StatusUnauthorized)["code"], auth)
		require.NotEmpty(t, r.Header().Get("WWW-Authenticate"))
	}
}

func TestAnotherTenantsBatchIsNotThere(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for _, target := range []string{
		"GET /v1/batches/b1", "GET /v1/batches/b1/messages", "GET /v1/batches/b1/messages/0", "GET /v1/batches/b1/results",
		"GET /v1/batches/b1/events", "POST /v1/batches/b1:cancel", "POST /v1/batches/b1:pause", "POST /v1/batches/b1:resume",
		"POST /v1/batches/b1:redrive",
	} {
		method, path, _ := strings.Cut(target, " ")
		r := b.call(method, path, "", "Authorization: Bearer "+otherKey)
		require.Equal(t, "not_found", r.json(http.StatusNotFound)["code"], target)
	}
}

func TestARequestWithProblemsNamesThem(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	doc := b.acme("POST", "/v1/batches", `{"text":"hi","tx":1,"messages":[{"to":"+15550001111"}]}`).json(http.StatusUnprocessableEntity)
	require.Equal(t, "tx", doc["problems"].([]any)[0].(map[string]any)["path"])
	doc = b.acme("POST", "/v1/batches", `{`).json(http.StatusBadRequest)
	require.Equal(t, "format", doc["problems"].([]any)[0].(map[string]any)["code"])
	require.Empty(t, b.batches)
}

func TestUnknownParametersAreRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for _, target := range []string{"/v1/batches?dialcet=bird", "/v1/batches?ttl=soon", "/v1/batches?strict=1", "/v1/batches?dialect=smtp", "/v1/batches?ttl=2h&ttl=3h", "/v1/batches?sendAfter=-48h", "/v1/batches?sendAfter=soon", "/v1/batches?sendAfter=2026-12-24T18:00:00,5Z"} {
		require.Equal(t, "invalid", b.acme("POST", target, one).json(http.StatusBadRequest)["code"], target)
	}
}

func TestTheHeaderOfACSVFileComesFromParameters(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].HasCallbackSecret = true })
	const file = "to\n+15550001111\n"
	target := "/v1/batches?text=hi&id=b1&priority=2&metadata=k%3Dv&defaultRegion=de&awaitReports=10m&callbackUrl=https%3A%2F%2Fexample.com%2Fe&callbackMessages=true"
	b.acme("POST", target, file).json(http.StatusAccepted)
	got := b.batches[starter.Ref{Tenant: "acme", ID: "b1"}]
	require.Equal(t, 2, got.Priority)
	require.EqualValues(t, 600_000, got.AwaitReports)
	require.Equal(t, "DE", got.Region)
	require.Equal(t, "https://example.com/e", got.Callbacks.URL)
	require.True(t, got.Callbacks.Messages)
	b.acme("POST", target, file).json(http.StatusOK)
	require.Equal(t, "conflict", b.acme("POST", strings.Replace(target, "10m", "11m", 1), file).json(http.StatusConflict)["code"])
	require.Equal(t, "conflict", b.acme("POST", strings.Replace(target, "=de&", "=AT&", 1), file).json(http.StatusConflict)["code"])
	for _, wrong := range []string{"awaitReports=73h", "callbackUrl=example.com", "defaultRegion=XX"} {
		doc := b.acme("POST", "/v1/batches?text=hi&"+wrong, file).json(http.StatusUnprocessableEntity)
		require.Len(t, doc["problems"], 1, wrong)
	}
	for _, wrong := range []string{"awaitReports=soon", "callbackMessages=1"} {
		require.Equal(t, "invalid", b.acme("POST", "/v1/batches?text=hi&"+wrong, file).json(http.StatusBadRequest)["code"])
	}
	for _, beside := range []string{"awaitReports=10m", "callbackUrl=https%3A%2F%2Fexample.com", "callbackMessages=true"} {
		require.Equal(t, "invalid", b.acme("POST", "/v1/batches?"+beside, one).json(http.StatusBadRequest)["code"])
	}
}

func TestWhatIsWrongWithAControlIsNamed(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	for call, want := range map[string]string{
		`cancel {"messages":[1]}`:      "messages: expected a string, got number",
		`cancel {"messages":"1"}`:      "messages: expected a list, got string",
		`cancel []`:                    "all of it: expected an object, got array",
		`redrive {"states":{}}`:        "states: expected a list, got object",
		`pause 1`:                      "all of it: expected an object, got number",
		`reschedule {"sendAfter":[1]}`: "sendAfter: expected a string, got array",
		`cancel {"mesages":["0"]}`:     `unknown field "mesages"`,
	} {
		action, body, _ := strings.Cut(call, " ")
		detail := b.acme("POST", "/v1/batches/b1:"+action, body).json(http.StatusBadRequest)["detail"]
		require.Equal(t, "the body cannot be read: "+want, detail, call)
	}
}

func TestABodyThatCouldMeanMoreThanItSaysIsRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		for i := range o.Tenants {
			o.Tenants[i].Operator = true
		}
	})
	b.acme("POST", "/v1/batches?id=b1", one)
	b.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		t.Error("something was canceled")
		return message.CancelResult{}, nil
	}
	for call, want := range map[string]string{
		`batches/b1:cancel null`:                                     "all of it is null",
		`batches/b1:cancel {"messages":null}`:                        "messages is null",
		`batches/b1:cancel {"messages":["0",null]}`:                  "messages[1] is null",
		`batches/b1:cancel {"messages":["0"],"messages":null}`:       "messages is given twice",
		`batches/b1:cancel {"messages":["0"],"Messages":[]}`:         "Messages is given twice",
		`batches/b1:cancel {"messages":["0"],"mess\u0061ges":["1"]}`: "messages is given twice",
		`batches/b1:cancel {"to":null}`:                              "to is null",
		`batches/b1:pause {"a":1,"a":2}`:                             "a is given twice",
		`batches/b1:resume null`:                                     "all of it is null",
		`batches/b1:reschedule {"sendAfter":"1h","sendAfter":"2h"}`:  "sendAfter is given twice",
		`batches/b1:redrive {"states":null}`:                         "states is null",
		`batches/b1:redrive {"code":"a","code":"b"}`:                 "code is given twice",
		`accounts/hook:hold {"priority":null}`:                       "priority is null",
		`accounts/hook:release {"priority":"1-2","priority":"1-5"}`:  "priority is given twice",
		`holds {"account":"hook","priority":null}`:                   "priority is null",
		`holds:release {"all":true,"priority":"3-5","priority":""}`:  "priority is given twice",
	} {
		path, body, _ := strings.Cut(call, " ")
		detail := b.acme("POST", "/v1/"+path, body).json(http.StatusBadRequest)["detail"]
		require.Contains(t, detail, "the body cannot be read: "+want, call)
	}
	for _, deep := range []string{"[", `{"a":`} {
		detail := b.acme("POST", "/v1/batches/b1:cancel", strings.Repeat(deep, (4<<20)/len(deep))).json(http.StatusBadRequest)["detail"]
		require.Contains(t, detail, "is nested more than 10 deep")
	}
	require.Empty(t, b.holds)
	require.Empty(t, b.redrives)
}

func TestARedriveIsAskedForAsOfToday(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*intake.Caller)
		body   string
		status int
	}{
		"nothing changed":         {func(*intake.Caller) {}, "", http.StatusAccepted},
		"another dialect":         {func(c *intake.Caller) { c.Dialects = []string{"bird"} }, "", http.StatusForbidden},
		"another account":         {func(c *intake.Caller) { c.Router.Allowed = []string{"bird-main"} }, "", http.StatusForbidden},
		"through another account": {func(c *intake.Caller) { c.Router.Allowed = []string{"bird-main"} }, `{"account":"bird-main"}`, http.StatusAccepted},
		"a lower priority":        {func(c *intake.Caller) { c.MaxPriority = 4 }, "", http.StatusAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newEnv(t, nil)
			first.acme("POST", "/v1/batches?id=b1", `{"priority":1,"text":"hi","messages":[{"to":"+15550001111"}]}`).json(http.StatusAccepted)
			b := newEnv(t, func(o *gateway.Options) {
				for i := range o.Tenants {
					tt.change(&o.Tenants[i])
				}
			})
			b.batches = first.batches
			doc := b.acme("POST", "/v1/batches/b1:redrive", tt.body).json(tt.status)
			if tt.status != http.StatusAccepted {
				require.Contains(t, doc["detail"], "may use")
				require.Empty(t, b.requests)
				return
			}
			want := 1
			if name == "a lower priority" {
				want = 4
			}
			require.Equal(t, want, b.requests[0].Batch.Priority)
		})
	}
}

func TestAMemberThatIsEmptyDoesNotMeanEverything(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	for call, want := range map[string]string{
		`batches/b1:cancel {"state":""}`:             "state is empty",
		`batches/b1:redrive {"states":[]}`:           "states is empty",
		`batches/b1:redrive {"code":""}`:             "code is empty",
		`batches/b1:redrive {"to":""}`:               "to is empty",
		`holds {"account":"hook","priority":""}`:     "priority is empty",
		`holds:release {"account":"hook","meta":""}`: "meta is empty",
	} {
		path, body, _ := strings.Cut(call, " ")
		require.Equal(t, want, b.acme("POST", "/v1/"+path, body).json(http.StatusUnprocessableEntity)["detail"], call)
	}
	require.Empty(t, b.holds)
	require.Empty(t, b.redrives)
}

func TestAnEmptyCSVFileIsToldSo(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for _, body := range []string{"", "\n", "\ufeff \n"} {
		doc := b.acme("POST", "/v1/batches?text=hi", body).json(http.StatusBadRequest)
		require.Equal(t, "format", doc["problems"].([]any)[0].(map[string]any)["code"])
	}
}

func TestAListOfAnUnknownDialectIsRefused(t *testing.T) {
	t.Parallel()
	doc := newEnv(t, nil).acme("GET", "/v1/batches?dialect=smtp", "").json(http.StatusBadRequest)
	require.Contains(t, doc["detail"], "bluesky")
}

func TestAnotherMethodIsToldWhichThereAre(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for call, allowed := range map[string]string{
		"PUT /v1/batches":                  "GET, POST",
		"DELETE /v1/batches/b1":            "GET",
		"GET /v1/batches/b1:cancel":        "POST",
		"PATCH /v1/batches/b1:cancel":      "POST",
		"POST /v1/batches/b1/messages":     "GET",
		"DELETE /v1/batches/b1/messages/0": "GET",
		"POST /v1/batches/b1/results":      "GET",
		"POST /v1/batches/b1/events":       "GET",
	} {
		method, target, _ := strings.Cut(call, " ")
		r := b.acme(method, target, "")
		require.Equal(t, "method_not_allowed", r.json(http.StatusMethodNotAllowed)["code"], call)
		require.Equal(t, allowed, r.Header().Get("Allow"), call)
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	body := `{"text":"` + strings.Repeat("x", 2<<20) + `","messages":[]}`
	require.Equal(t, "too_large", b.acme("POST", "/v1/batches", body).json(http.StatusRequestEntityTooLarge)["code"])
}

func TestJSONLinesOfAnySizeAreReadBitByBit(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	body := `{"text":"hi ${n}"}` + "\n" + strings.Repeat(`{"to":"+15550001111","params":{"n":"1"}}`+"\n", 50_000)
	require.Greater(t, len(body), 1<<20)
	doc := b.acme("POST", "/v1/batches?id=b1", body).json(http.StatusAccepted)
	require.EqualValues(t, 50_000, doc["total"])

	bad := strings.Replace(body, `"to":"+15550001111"`, `"too":"x"`, 1)
	doc = b.acme("POST", "/v1/batches?id=b2&strict=true", bad).json(http.StatusUnprocessableEntity)
	require.Len(t, doc["problems"], 2)
	require.Nil(t, b.batches[starter.Ref{Tenant: "acme", ID: "b2"}])
}

func TestTooManySubmitsAreToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].Rate = 2 })
	for range 2 {
		b.acme("POST", "/v1/batches", one).json(http.StatusAccepted)
	}
	r := b.acme("POST", "/v1/batches", one)
	require.Equal(t, "too_many_requests", r.json(http.StatusTooManyRequests)["code"])
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	require.Equal(t, http.StatusAccepted, b.call("POST", "/v1/batches", one, "Authorization: Bearer "+otherKey).Code)
}

func TestReadsHaveARateInWhichListsWithCountsWeighMore(t *testing.T) {
	t.Parallel()
	clock := now
	b := newEnv(t, func(o *gateway.Options) {
		o.Tenants[0].ReadRate = 50
		o.Now = func() time.Time { return clock }
	})
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for range 50 {
		require.Equal(t, http.StatusOK, b.acme("GET", "/v1/batches/b1", "").Code)
	}
	r := b.acme("GET", "/v1/batches/b1", "")
	require.Equal(t, "too_many_requests", r.json(http.StatusTooManyRequests)["code"])
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	require.Equal(t, http.StatusAccepted, b.acme("POST", "/v1/batches", one).Code, "submits have a rate of their own")
	require.Equal(t, http.StatusOK, b.call("GET", "/v1/batches", "", "Authorization: Bearer "+otherKey).Code)
	for target, weight := range map[string]int{
		"/v1/batches": 1, "/v1/batches?limit=500": 1, "/v1/batches?counts=true": 20, "/v1/batches?counts=true&limit=40": 40,
		"/v1/batches?counts=true&limit=500":                               50,
		"/workspaces/" + workspace + "/channels/" + channel + "/messages": 20,
	} {
		clock = clock.Add(time.Minute)
		calls := 0
		scheme := "Bearer "
		if strings.HasPrefix(target, "/workspaces") {
			scheme = "AccessKey "
		}
		for b.call("GET", target, "", "Authorization: "+scheme+acmeKey).Code == http.StatusOK {
			calls++
		}
		require.Equal(t, 50/weight, calls, target)
	}
}

func TestATenantsListsWithCountsAreReadFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		inside, most := 0, 0
		var mu sync.Mutex
		b.list = func(starter.ListQuery) (starter.Batches, error) {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(time.Second) // of the bubble's clock
			mu.Lock()
			inside--
			mu.Unlock()
			return starter.Batches{}, nil
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { b.acme("GET", "/v1/batches?counts=true", "") })
		}
		wg.Wait()
		require.Equal(t, 4, most)
	})
}

func TestResultsAreStreamedInBothFormats(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", `{"text":"hi","messages":[{"to":"+15550001111"},{"to":"+15550002222","reference":"c,2"}]}`)
	r := b.acme("GET", "/v1/batches/b1/results", "")
	require.Equal(t, 2, strings.Count(r.Body.String(), "\n"))
	require.Equal(t, "application/jsonl", r.Header().Get("Content-Type"))
	r = b.acme("GET", "/v1/batches/b1/results?format=csv", "")
	require.True(t, strings.HasPrefix(r.Body.String(), "index,id,reference,"))
	require.Contains(t, r.Body.String(), `"c,2"`)

	b.acme("POST", "/v1/batches?id=b2", `{"text":"hi","messages":[{"to":"=1+1","reference":"@x"}]}`)
	require.Contains(t, b.acme("GET", "/v1/batches/b2/results?format=csv", "").Body.String(), ",'@x,'=1+1,")
	require.Contains(t, b.acme("GET", "/v1/batches/b2/results?format=csv&raw=true", "").Body.String(), ",@x,=1+1,")
	require.Contains(t, b.acme("GET", "/v1/batches/b2/results", "").Body.String(), `"=1+1"`)
	require.Equal(t, http.StatusBadRequest, b.acme("GET", "/v1/batches/b2/results?raw=true", "").Code)
}

func TestResultsWithoutARowAreAnAnswer(t *testing.T) {
	t.Parallel()
	told := map[string]int{}
	b := newEnv(t, func(o *gateway.Options) {
		o.Observe = func(route string, status int, _ time.Duration) { told[route] = status }
	})
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	r := b.acme("GET", "/v1/batches/b1/results?state=failed", "")
	require.Equal(t, http.StatusOK, r.Code)
	require.Equal(t, "application/jsonl", r.Header().Get("Content-Type"))
	require.Empty(t, r.Body.String())
	require.Equal(t, http.StatusOK, told["GET /v1/batches/{id}/results"])
	r = b.acme("GET", "/v1/batches/b1/results?state=failed&format=csv", "")
	require.Equal(t, 1, strings.Count(r.Body.String(), "\n"))
}

func TestMessagesAndResultsAreChosenByStatesAndCode(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for query, n := range map[string]int{"state=sent,failed": 1, "state=not-sent": 0, "state=not-sent,sent": 1, "code=http_400": 0} {
		r := b.acme("GET", "/v1/batches/b1/results?"+query, "")
		require.Equal(t, http.StatusOK, r.Code, query)
		require.Equal(t, n, strings.Count(r.Body.String(), "\n"), query)
		b.acme("GET", "/v1/batches/b1/messages?"+query, "").json(http.StatusOK)
	}
}

func TestARedriveMayHaveATime(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	b.acme("POST", "/v1/batches/b1:redrive", `{"states":["not-sent"],"id":"r1","sendAfter":"2027-01-02T09:00:00+01:00"}`).json(http.StatusAccepted)
	require.Equal(t, time.Date(2027, 1, 2, 8, 0, 0, 0, time.UTC), b.redrives[0].SendAfter.UTC())
	require.Equal(t, []string{"not-sent"}, b.redrives[0].States)
	doc := b.acme("POST", "/v1/batches/b1:redrive", `{"sendAfter":"soon"}`).json(http.StatusUnprocessableEntity)
	require.Equal(t, "sendAfter is neither an RFC 3339 time nor a duration from now such as 10m or 3d", doc["detail"])
	require.Len(t, b.redrives, 1)
}

func TestAPauseAndAResumeHaveNothingInTheirBody(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for _, action := range []string{"pause", "resume"} {
		target := "/v1/batches/b1:" + action
		for _, body := range []string{"", " ", "{}"} {
			b.acme("POST", target, body).json(http.StatusOK)
		}
		asked := b.asks[action]
		for _, body := range []string{`{"messages":["0"]}`, `{"reason":"x"}`, `["0"]`, `{`, `{}{}`} {
			require.Equal(t, "invalid", b.acme("POST", target, body).json(http.StatusBadRequest)["code"], body)
		}
		require.Equal(t, asked, b.asks[action], "nothing was done")
		require.Equal(t, 3, asked)
	}
}

func TestACancelThatNobodyConfirmsIsAccepted(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	b.cancel = func(ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
		require.Equal(t, []string{"0"}, q.Messages)
		return message.CancelResult{Batch: ref.ID}, fmt.Errorf("recorded: %w", starter.ErrNoWorker)
	}
	doc := b.acme("POST", "/v1/batches/b1:cancel", `{"messages":["0"]}`).json(http.StatusAccepted)
	require.Equal(t, false, doc["confirmed"])
	require.Equal(t, "invalid", b.acme("POST", "/v1/batches/b1:cancel", `{"message":["0"]}`).json(http.StatusBadRequest)["code"])
}

func TestAStatusIsSharedByAllWhoAsk(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	var asked atomic.Int64
	there := make(chan struct{})
	b.status = func(ref starter.Ref) (message.Status, error) {
		asked.Add(1)
		<-there
		return message.Status{ID: ref.ID, State: message.BatchRunning, Total: 1, Counts: &message.Counts{message.Sending: 1}, Rev: 3}, nil
	}
	answers := make(chan int, 50)
	for range cap(answers) {
		go func() { answers <- b.acme("GET", "/v1/batches/b1", "").Code }()
	}
	close(there)
	for range cap(answers) {
		require.Equal(t, http.StatusOK, <-answers)
	}
	require.EqualValues(t, 1, asked.Load())
}

func TestEventsAreResumedWhereTheyBrokeOff(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", `{"text":"hi","messages":[{"to":"+15550001111"},{"to":"+15550002222"}]}`)
	r := b.acme("GET", "/v1/batches/b1/events", "")
	require.Equal(t, http.StatusOK, r.Code)
	require.Equal(t, []string{"message 3", "message 4", "status 4", "end 4"}, eventsOf(r.Body.String()))
	r = b.acme("GET", "/v1/batches/b1/events", "", "Last-Event-ID: 3")
	require.Equal(t, []string{"message 4", "status 4", "end 4"}, eventsOf(r.Body.String()))
	require.Equal(t, http.StatusNoContent, b.acme("GET", "/v1/batches/b1/events", "", "Last-Event-ID: 4").Code)
}

func TestAnEmptyParameterDoesNotChooseEverything(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for _, name := range []string{"to", "reference", "meta", "account", "state", "code"} {
		for _, route := range []string{"messages", "results"} {
			doc := b.acme("GET", "/v1/batches/b1/"+route+"?"+name+"=", "").json(http.StatusBadRequest)
			require.Contains(t, fmt.Sprint(doc), name+" is empty")
		}
	}
}

// eventsOf are the names of events with the last id that a client would know.
func eventsOf(text string) (all []string) {
	last := ""
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(block, ":") {
			continue // a comment
		}
		name := ""
		for _, line := range strings.Split(block, "\n") {
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				last = v
			}
		}
		all = append(all, name+" "+last)
	}
	return all
}

func TestAStreamEndsWhenTheGatewayLeaves(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	b.states[starter.Ref{Tenant: "acme", ID: "b1"}] = message.BatchRunning
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	served := make(chan error, 1)
	go func() { served <- b.g.Serve(ctx, l) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/v1/batches/b1/events", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+acmeKey)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan())
	leave()
	for lines.Scan() {
		continue
	}
	require.NoError(t, lines.Err())
	require.NoError(t, <-served)
	require.Equal(t, http.StatusServiceUnavailable, b.call("GET", "/readyz", "").Code)
}

func TestACancelSelectsMessages(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	var asked []message.CancelRequest
	b.cancel = func(ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
		asked = append(asked, q)
		return message.NewCancelResult(ref.ID), nil
	}
	b.acme("POST", "/v1/batches/b1:cancel", `{"to":"+15550001111","reason":"x"}`).json(http.StatusOK)
	id := message.KeyOf("batch-acme/b1").MessageID(0)
	require.Equal(t, []message.CancelRequest{{Reason: "x", Messages: []string{id}}}, asked)
	b.acme("POST", "/v1/batches/b1:cancel", `{"to":"+15550002222"}`).json(http.StatusNotFound)
	for _, body := range []string{`{"to":""}`, `{"state":"failed","account":""}`, `{"to":"+15550001111","messages":["0"]}`} {
		b.acme("POST", "/v1/batches/b1:cancel", body).json(http.StatusUnprocessableEntity)
	}
	require.Len(t, asked, 1, "never all of it")
}

func TestARedriveSelectsMessagesAndAnAccount(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	b.acme("POST", "/v1/batches/b1:redrive", `{"state":"failed,unknown","to":"+1","reference":"c","meta":"k=v","fromAccount":"x","again":true,"id":"r1"}`).json(http.StatusAccepted)
	require.Equal(t, starter.RedriveQuery{
		States: []string{"failed", "unknown"}, Again: true, ID: "r1", Selector: message.Selector{To: "+1", Reference: "c", Meta: "k=v", Account: "x"},
	}, b.redrives[0])
	doc := b.acme("POST", "/v1/batches/b1:redrive", `{"account":"nobody"}`).json(http.StatusUnprocessableEntity)
	require.Contains(t, doc["detail"], "account")
	require.Len(t, b.redrives, 1)
}

func TestMessagesAreSelectedByParameters(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	for _, at := range []string{"messages", "results"} {
		target := "/v1/batches/b1/" + at
		require.Equal(t, http.StatusOK, b.acme("GET", target+"?to=%2B15550001111&reference=c&meta=k%3Dv&account=x&state=not-sent", "").Code)
		require.Equal(t, "the parameter meta is not key=value", b.acme("GET", target+"?meta=k", "").json(http.StatusBadRequest)["detail"])
	}
}
