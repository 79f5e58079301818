package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const withConsent = "Phone,name,opt_out,birthday\n+15550001111,Ann,no,x\n+15550002222,Bob,YES,y\n+15550001111,Ann,no,z\n"

func warned(doc map[string]any) (out []string) {
	list, _ := doc["warnings"].([]any)
	for _, w := range list {
		p := w.(map[string]any)
		out = append(out, p["path"].(string)+" "+p["code"].(string))
	}
	return out
}

func TestColumnsThatNothingUsesAreWarnedOf(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	const call = "/v1/batches?text=Hi+$%7Bname%7D&toColumn=Phone"
	doc := b.acme("POST", call, withConsent).json(http.StatusAccepted)
	require.Equal(t, []string{"columns[2] unknown_field", "columns unused", "messages duplicate"}, warned(doc))
	require.Contains(t, doc["warnings"].([]any)[0].(map[string]any)["detail"], "skipIf=opt_out=VALUE leaves rows out, ignoreColumns=opt_out sends to all")
	require.InDelta(t, 0, doc["excluded"], 0)
	require.Len(t, b.batches, 1)

	doc = b.acme("POST", call+"&strict=true", withConsent).json(http.StatusUnprocessableEntity)
	require.Equal(t, "columns[2]", doc["problems"].([]any)[0].(map[string]any)["path"])
	require.Equal(t, []string{"columns unused", "messages duplicate"}, warned(doc))
	require.Len(t, b.batches, 1, "nothing was started")

	doc = b.acme("POST", "/v1/batches?text=Hi", one).json(http.StatusBadRequest)
	require.Contains(t, doc["detail"], "is for CSV files")
	doc = b.acme("POST", "/v1/batches", one).json(http.StatusAccepted)
	require.Equal(t, []any{}, doc["warnings"])
}

func TestRowsAreLeftOutOverHTTP(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	const call = "/v1/batches?text=Hi+$%7Bname%7D&map=to%3DPhone&strict=true&skipIf=opt_out%3Dyes&ignoreColumns=birthday,x&unique=to+text=drop"
	doc := b.acme("POST", call, withConsent).json(http.StatusAccepted)
	require.InDelta(t, 3, doc["total"], 0)
	require.InDelta(t, 2, doc["rejected"], 0)
	require.InDelta(t, 2, doc["excluded"], 0)
	require.Equal(t, []any{}, doc["problems"], "nothing is wrong with them")
	require.Equal(t, []any{}, doc["warnings"])
	require.Equal(t, map[string]string{
		"map": "to=Phone", "skip-if": "opt_out=yes", "ignore-columns": "birthday,x", "unique": "to+text=drop", "strict": "true", "text": "Hi ${name}",
	}, filled(b.requests[0].Flags))

	// One that is read row by row.
	large := withConsent + strings.Repeat("+15550003333,"+strings.Repeat("x", 90)+",no,\n", 50_000)
	doc = b.acme("POST", strings.Replace(call, "+text=drop", "=drop", 1), large).json(http.StatusAccepted)
	require.InDelta(t, 50_003, doc["total"], 0)
	require.InDelta(t, 50_001, doc["excluded"], 0)
	require.Equal(t, []any{}, doc["problems"])
}

// filled are the flags that were given.
func filled(flags map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range flags {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

func TestColumnParametersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for query, want := range map[string]string{
		"map=name":              `the parameter map is "name": expected name=column`,
		"map=to%3Da&toColumn=b": `the parameter map is "to=a": to has a column already`,
		"skipIf=%3Dx":           `the parameter skipIf is "=x": expected column=value`,
		"ignoreColumns=a,,b":    "the parameter ignoreColumns is expected names with commas between them, or all",
		"unique=text":           `the parameter unique is "text": expected to, to+text, to=drop or to+text=drop`,
	} {
		doc := b.acme("POST", "/v1/batches?text=Hi&"+query, withConsent).json(http.StatusBadRequest)
		require.Equal(t, want, doc["detail"], query)
	}
	for _, query := range []string{"toColumn=a", "map=a%3Db", "ignoreColumns=a", "skipIf=a%3Db"} {
		doc := b.acme("POST", "/v1/batches?"+query, one).json(http.StatusBadRequest)
		require.Contains(t, doc["detail"], "is for CSV files", query)
	}
	doc := b.acme("POST", "/v1/batches?unique=to", one).json(http.StatusAccepted)
	require.Equal(t, []any{}, doc["problems"], "in any format")
	require.Len(t, b.batches, 1)
}
