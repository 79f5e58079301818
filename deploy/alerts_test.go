package deploy_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
)

// situation is what Prometheus has read, a value a minute, and what an alert says of it.
type situation struct {
	series string
	// at is when the rule is asked, and fires what for: the labels without braces, one
	// alert each. Without any the rule is quiet.
	at    time.Duration
	fires []string
}

// situations of each alert: at least one of which it tells, and one of which it does not.
var situations = map[string][]situation{
	"VolleyNoWorker": {
		{`up{job="volley-worker", instance="a"} 1 1 1 0 0 0`, 2 * time.Minute, nil},
		{`up{job="volley-worker", instance="a"} 1 1 1 0 0 0`, 5 * time.Minute, []string{``}},
		{`up{job="volley-gateway", instance="a"} 1 1 1 1 1 1`, 5 * time.Minute, []string{``}},
	},
	"VolleyNoGateway": {
		{`up{job="volley-gateway", instance="a"} 1 1 1 1`, 3 * time.Minute, nil},
		{`up{job="volley-gateway", instance="a"} 1 1 0 0`, 3 * time.Minute, []string{``}},
	},
	"VolleyWorkflowsStuck": {
		{`temporal_workflow_task_execution_failed_total{workflow_type="SendBatch"} 3x20`, 15 * time.Minute, nil},
		{`temporal_workflow_task_execution_failed_total{workflow_type="Somebody"} 0+3x20`, 15 * time.Minute, nil},
		{`temporal_workflow_task_execution_failed_total{workflow_type="SendBatch"} 0+3x20`, 15 * time.Minute, []string{`workflow_type="SendBatch"`}},
	},
	"VolleyAccountHeld": {
		{`volley_account_held_since_timestamp_seconds{account="a"} 600x60`, 40 * time.Minute, nil},
		{`volley_account_held_since_timestamp_seconds{account="a"} 600x60`, 41 * time.Minute, []string{`account="a"`}},
		{`volley_account_held_since_timestamp_seconds{account="a"} 0x60`, 60 * time.Minute, nil},
	},
	"VolleyUnauthorized": {
		{`volley_attempts_total{account="a", kind="sent"} 0+9x20`, 15 * time.Minute, nil},
		{`volley_attempts_total{account="a", kind="unauthorized"} 0+1x20`, 15 * time.Minute, []string{`account="a"`}},
	},
	"VolleyFailing": {
		{`volley_messages_total{account="a", state="sent"} 0+95x30
		  volley_messages_total{account="a", state="failed", code="http_500"} 0+5x30`, 20 * time.Minute, nil},
		{`volley_messages_total{account="a", state="sent"} 0+80x30
		  volley_messages_total{account="a", state="failed", code="http_500"} 0+10x30
		  volley_messages_total{account="a", state="expired", code="expired"} 0+10x30
		  volley_messages_total{account="b", state="sent"} 0+80x30`, 20 * time.Minute, []string{`account="a"`}},
		{`volley_messages_total{account="a", state="failed"} 0x20 1x20`, 25 * time.Minute, nil}, // one of one
	},
	"VolleyCampaignFailing": {
		{`volley_campaign_messages{campaign="spring", result="arrived", instance="1"} 95x20
		  volley_campaign_messages{campaign="spring", result="missed", instance="1"} 5x20
		  volley_campaign_messages{campaign="few", result="arrived", instance="1"} 0x20
		  volley_campaign_messages{campaign="few", result="missed", instance="1"} 20x20
		  volley_campaign_messages{campaign="old", result="arrived", instance="1"} 0x20
		  volley_campaign_messages{campaign="old", result="missed", instance="1"} 0x20`, 15 * time.Minute, nil},
		{`volley_campaign_messages{campaign="spring", result="arrived", instance="1"} 80x20
		  volley_campaign_messages{campaign="spring", result="missed", instance="1"} 21x20
		  volley_campaign_messages{campaign="spring", result="arrived", instance="2"} 0x20
		  volley_campaign_messages{campaign="spring", result="missed", instance="2"} 0x20`, 15 * time.Minute, []string{`campaign="spring"`}},
	},
	"VolleyBatchPausedItself": {
		{`volley_guards_total{account="a", code="http_400"} 1x40`, 30 * time.Minute, nil},
		{`volley_guards_total{account="a", code="http_400"} _x20 1x20`, 25 * time.Minute, []string{`account="a", code="http_400"`}},
		{`volley_guards_total{account="a", code="http_400"} 1x20 2x20`, 25 * time.Minute, []string{`account="a", code="http_400"`}},
	},
	"VolleyLate": {
		{buckets("volley_lateness_seconds", 100, 0), 15 * time.Minute, nil},
		{buckets("volley_lateness_seconds", 90, 10), 15 * time.Minute, []string{`account="a"`}},
	},
	"VolleyQueueOld": {
		{`volley_queue_age_seconds{account="a", instance="1"} 100x20`, 10 * time.Minute, nil},
		{`volley_queue_age_seconds{account="a", instance="1"} 901x20
		  volley_queue_age_seconds{account="a", instance="2"} 902x20`, 10 * time.Minute, []string{`account="a"`}},
	},
	"VolleyExpiring": {
		{`volley_messages_total{account="a", state="expired"} 7x40`, 30 * time.Minute, nil},
		{`volley_messages_total{account="a", state="expired"} _x20 1x20`, 25 * time.Minute, []string{`account="a"`}},
		{`volley_messages_total{account="a", state="expired", code="held"} 7x20 9x20`, 25 * time.Minute, []string{`account="a"`}},
	},
	"VolleyUnknown": {
		{`volley_messages_total{account="a", state="unknown"} 1x100`, 90 * time.Minute, nil},
		{`volley_messages_total{account="a", state="unknown"} _x80 1x20`, 90 * time.Minute, []string{`account="a"`}},
		{`volley_messages_total{account="a", state="unknown"} 1x80 2x20`, 90 * time.Minute, []string{`account="a"`}},
	},
	"VolleyDoubtsRemain": {
		{`volley_reconciles_total{account="a", verdict="found"} 0+1x20`, 15 * time.Minute, nil},
		{`volley_reconciles_total{account="a", verdict="later"} 0+1x20`, 15 * time.Minute, []string{`account="a"`}},
	},
	"VolleyNoReports": {
		{`volley_last_report_timestamp_seconds{account="a"} 0x100
		  volley_messages_total{account="a", state="sent"} 0+1x100`, 59 * time.Minute, nil},
		{`volley_last_report_timestamp_seconds{account="a"} 0x100
		  volley_messages_total{account="a", state="sent"} 0+1x100`, 61 * time.Minute, []string{`account="a"`}},
		{`volley_last_report_timestamp_seconds{account="a"} 0x100
		  volley_messages_total{account="a", state="sent"} 9x100`, 61 * time.Minute, nil}, // nothing is sent
	},
	"VolleyReportsLost": {
		{`volley_reports_total{account="a", outcome="applied"} 0+1x100`, 90 * time.Minute, nil},
		{`volley_reports_total{account="", outcome="dropped"} _x80 1x20`, 90 * time.Minute, []string{``}},
	},
	"VolleyStoreAway": {
		{`volley_store_away_total{instance="1"} 5x20`, 10 * time.Minute, nil},
		{`volley_store_away_total{instance="1"} 0+1x20`, 10 * time.Minute, []string{``}},
	},
	"VolleyIndexLag": {
		{`volley_index_lag_seconds{instance="1"} 800x20
		  volley_index_lag_seconds{instance="2"} 0x20`, 10 * time.Minute, nil},
		{`volley_index_lag_seconds{instance="1"} 901x20
		  volley_index_lag_seconds{instance="2"} 0x20`, 10 * time.Minute, []string{``}},
	},
	"VolleyCallbacksGivenUp": {
		{`volley_callbacks_total{format="volley", outcome="accepted"} 0+1x100`, 90 * time.Minute, nil},
		{`volley_callbacks_total{format="volley", outcome="given_up"} _x80 1x20`, 90 * time.Minute, []string{`format="volley"`}},
	},
	"VolleyGatewayErrors": {
		{`volley_http_requests_total{route="r", code="200"} 0+99x20
		  volley_http_requests_total{route="r", code="503"} 0+1x20`, 15 * time.Minute, nil},
		{`volley_http_requests_total{route="r", code="200"} 0+80x20
		  volley_http_requests_total{route="r", code="503"} 0+20x20`, 15 * time.Minute, []string{``}},
	},
	"VolleyFailedLogins": {
		{`volley_failed_logins_total{route="r"} 0+10x20`, 15 * time.Minute, nil},
		{`volley_failed_logins_total{route="r"} 0+100x20`, 15 * time.Minute, []string{`route="r"`}},
	},
}

// buckets is a histogram of an account: some a minute take at most a second, and some five
// minutes.
func buckets(name string, fast, slow int) string {
	const line = `%s_bucket{account="a", le="%s"} 0+%dx20` + "\n"
	return fmt.Sprintf(line+line+line, name, "1", fast, name, "300", fast+slow, name, "+Inf", fast+slow)
}

// alerts are the rules by name.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("prometheus/alerts.yml")
	require.NoError(t, err)
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	found := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			require.NotContains(t, found, r.Alert)
			found[r.Alert] = r
		}
	}
	require.NotEmpty(t, found)
	return found
}

func TestEachAlertTellsOfWhatItIsForAndOfNothingElse(t *testing.T) {
	t.Parallel()
	for name, rule := range alerts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, []string{"page", "ticket"}, rule.Labels["severity"])
			require.NotEmpty(t, rule.Annotations["summary"])
			told, quiet := false, false
			for _, s := range situations[name] {
				require.Equal(t, labelled(t, s.fires), firing(t, rule.Expr, s), "%s at %s", s.series, s.at)
				told, quiet = told || len(s.fires) > 0, quiet || len(s.fires) == 0
			}
			require.True(t, told && quiet, "an alert needs a situation of which it tells, and one of which it does not")
		})
	}
}

func labelled(t *testing.T, texts []string) (all []string) {
	t.Helper()
	for _, text := range texts {
		ls, err := parser.NewParser(parser.Options{}).ParseMetric("{" + text + "}")
		require.NoError(t, err)
		all = append(all, ls.String())
	}
	return all
}

// firing are the labels for which an expression holds.
func firing(t *testing.T, expr string, s situation) (all []string) {
	t.Helper()
	load := "load 1m\n"
	for line := range strings.Lines(s.series) {
		load += "  " + strings.TrimSpace(line) + "\n"
	}
	storage := promqltest.LoadedStorage(t, load)
	defer storage.Close()
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, expr, time.Unix(0, 0).Add(s.at))
	require.NoError(t, err)
	defer q.Close()
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	vector, ok := res.Value.(promql.Vector)
	require.True(t, ok)
	for _, sample := range vector {
		all = append(all, sample.Metric.DropReserved(func(n string) bool { return n == model.MetricNameLabel }).String())
	}
	return all
}
