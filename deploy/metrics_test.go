package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// panel is what a test reads of a panel of the dashboard.
type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

// expressions are those of all rules and panels, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, r := range alerts(t) {
		all[name] = r.Expr
	}
	text, err := os.ReadFile("grafana/dashboards/volley.json")
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			all[p.Title+": "+target.Expr] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	return all
}

// documented are the metrics of docs/operations.md with their labels. A test of dev/e2e holds
// that table to what a worker and a gateway export.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	known := map[string][]string{"up": {"job", "instance"}}
	name, quoted := regexp.MustCompile("`((?:volley|temporal)_[a-z_]+)`"), regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			cells = []string{"", line, "`workflow_type` `namespace` `task_queue`"}
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			known[m[1]] = append(known[m[1]], "instance")
			for _, l := range quoted.FindAllStringSubmatch(cells[2], -1) {
				known[m[1]] = append(known[m[1]], l[1])
			}
		}
	}
	return known
}

func TestRulesAndPanelsUseWhatIsExported(t *testing.T) {
	t.Parallel()
	known := documented(t)
	for where, expr := range expressions(t) {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		require.NoError(t, err, where)
		selectors := 0
		parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
			switch n := n.(type) {
			case *parser.VectorSelector:
				selectors++
				for _, m := range n.LabelMatchers {
					if m.Name != model.MetricNameLabel {
						exported(t, known, where, n.Name, m.Name)
					}
				}
				exported(t, known, where, n.Name, "")
			case *parser.AggregateExpr:
				parser.Inspect(n.Expr, func(inner parser.Node, _ []parser.Node) error {
					if of, ok := inner.(*parser.VectorSelector); ok {
						for _, label := range n.Grouping {
							exported(t, known, where, of.Name, label)
						}
					}
					return nil
				})
			}
			return nil
		})
		require.Positive(t, selectors, where)
	}
}

// exported requires a metric with a label; "" is any.
func exported(t *testing.T, known map[string][]string, where, metric, label string) {
	t.Helper()
	base := strings.TrimSuffix(metric, "_bucket")
	require.Contains(t, known, base, "%s: docs/operations.md does not have the metric", where)
	if label != "" && (label != "le" || base == metric) {
		require.Contains(t, known[base], label, "%s: %s has no such label", where, base)
	}
}

// TestEachAlertHasASection holds docs/incidents.md to the rules.
func TestEachAlertHasASection(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/incidents.md")
	require.NoError(t, err)
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (Volley\w+)`).FindAllStringSubmatch(string(text), -1) {
		sections = append(sections, m[1])
	}
	var names []string
	for name := range alerts(t) {
		names = append(names, name)
	}
	require.ElementsMatch(t, names, sections)
}
