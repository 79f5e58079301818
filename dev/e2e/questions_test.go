package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/message"
)

// questionLab is what the commands of docs/questions.md run against: a server, a worker and a
// gateway with an index, and the account sms at a sandbox that cannot be asked what it took.
// No worker serves the account letters.
type questionLab struct {
	*guide
	sandbox *sandbox.Sandbox
}

// inBatches are the recipients that the page's batches have; the last four digits of a number
// steer the sandbox.
var inBatches = map[string][]string{
	"tuesday-offer": {"+4915123459909", "+4915123459908", "+4915123450005", "+4915123450011"},
	"parcels":       {"+4915123450021", "+4915123450022", "+4915123450023"},
	"spring-sale":   {"+4915123450031", "+4915223459908", "+4915223459909", "+4915223459901", "+4915323459901", "+4915223459905"},
}

func newQuestionLab(t *testing.T) *questionLab {
	t.Helper()
	srv, err := server.Start(t.Context(), server.Options{Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Stop() })
	l := &questionLab{sandbox: sandbox.New(sandbox.Options{
		Secret: hookSecret, ReportSecret: hookSecret, Accounts: map[string]string{"sms": "sms"},
	})}
	box := httptest.NewServer(l.sandbox)
	t.Cleanup(box.Close)
	l.guide = openGuide(t, "../questions.md", "TEMPORAL_ADDRESS="+srv.Address(), "VOLLEY_ACTOR=ann@example.com")

	account := func(name string) string {
		return fmt.Sprintf("  %[1]s: {provider: webhook, url: \"%[2]s/webhook/%[1]s\", secret: %[3]q, report_secret: %[3]q, reconcile: false, settle: 1s, rate: 10/s}\n", name, box.URL, hookSecret)
	}
	config := func(accounts string) string {
		return fmt.Sprintf("store: %q\nindex: {url: %q}\naccounts:\n%sroutes: [{dialect: volley, hops: [sms]}]\ntenants: {default: {keys: [%s]}}\nsearch_metadata: [campaign]\n",
			"file://"+l.dir+"/store", "sqlite://"+l.dir+"/index.db", accounts, clearKey)
	}
	l.env = append(l.env, "VOLLEY_CONFIG="+l.write("volley.yaml", config(account("sms")+account("letters"))))
	served := l.write("served.yaml", config(account("sms")))
	l.bash("volley setup", 0)
	at := []string{"TEMPORAL_ADDRESS=" + srv.Address()}
	spawn(t, at, volley(t), "worker", "--config", served, "--listen", "")
	front := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	spawn(t, at, volley(t), "gateway", "--config", served, "--listen", front)
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + front + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, busy, 50*time.Millisecond)
	l.sandbox.ReportTo("http://" + front + "/reports")
	return l
}

// list writes a file of recipients.
func (l *questionLab) list(name string, to ...string) {
	l.t.Helper()
	var b strings.Builder
	b.WriteString("to,name\n")
	for i, who := range to {
		fmt.Fprintf(&b, "%s,%s\n", who, []string{"Ann", "Bartholomew", "Zoë", "Jo"}[i%4])
	}
	l.write(name, b.String())
}

// start starts a batch of a file.
func (l *questionLab) start(id, campaign, more string, exit int) {
	l.t.Helper()
	l.bash(fmt.Sprintf("volley start --dialect volley --again --text 'Hi ${name}' --id %s --metadata campaign='%s' %s %s.csv", id, campaign, more, id), exit)
}

// got counts the messages that went to somebody.
func (l *questionLab) got(to string) (n int) {
	for _, m := range l.sandbox.Received() {
		if m.To == to {
			n++
		}
	}
	return n
}

// says runs the next commands of the page until they print what they should: what the index
// is asked may be seconds behind.
func (l *questionLab) says(all ...string) (out string) {
	l.t.Helper()
	block := l.blocks[0]
	for end := time.Now().Add(3 * time.Minute); ; { // asking takes a while by itself
		out = l.bash(block, 0)
		missing := slices.IndexFunc(all, func(s string) bool { return !regexp.MustCompile(s).MatchString(out) })
		if missing < 0 {
			l.blocks = l.blocks[1:]
			return out
		}
		require.True(l.t, time.Now().Before(end), "%s\n%q is not in\n%s", block, all[missing], out)
	}
}

// The commands of docs/questions.md answer what they are there for, read as a person reads
// them.
func TestEightQuestionsAreAnsweredAtTheCommandLine(t *testing.T) {
	t.Parallel()
	l := newQuestionLab(t)
	for id, to := range inBatches {
		l.list(id+".csv", to...)
	}
	l.start("tuesday-offer", "Tuesday offer", "--wait", 0)
	l.start("parcels", "Parcels", "--wait", 0)
	l.start("spring-sale", "Spring sale", "--wait", 3)
	l.list("winter-letter.csv", "+4915123450005", "+4915123450061")
	l.start("winter-letter", "Winter letter", "--send-after 20h", 0)
	for i, answered := range []func(t *testing.T, l *questionLab){
		whyNot, worstOfTheWeek, stopAndGoOn, againToSome, neverAgain, whatIsStuck, whoCanceled, atNine,
	} {
		if !t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			l.t = t
			answered(t, l)
		}) {
			return
		}
	}
	l.done()
}

func whyNot(t *testing.T, l *questionLab) {
	l.says(`undelivered +\+4915123459909 +sms +the recipient is away +tuesday-offer`)
	out := l.run(0)
	require.Regexp(t, `sms +1 +sent`, out, "the trail")
	require.Regexp(t, `undelivered +away +the recipient is away`, out)
}

func worstOfTheWeek(t *testing.T, l *questionLab) {
	out := l.says(`Spring sale +6 +33\.3% .* failed: recipient\n`, `Parcels +3 +100\.0%`, `Tuesday offer +4 +75\.0% .* undelivered: away\n`)
	require.NotContains(t, out, "Winter letter", "it has not ended")
	l.says(`spring-sale +completed`, `failed +2 +recipient 2`, `unknown +1`, `recipient, for example: the recipient is not valid`)
}

func stopAndGoOn(t *testing.T, l *questionLab) {
	const n = 120
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("+49160%07d", i))
	}
	left := func() (count int) {
		for _, m := range l.sandbox.Received() {
			if strings.HasPrefix(m.To, "+49160") {
				count++
			}
		}
		return count
	}
	l.list("newsletter.csv", all...)
	l.start("newsletter", "Newsletter", "", 0)
	require.Eventually(t, func() bool { return left() > 5 }, busy, 20*time.Millisecond)
	hold := l.blocks[0]
	out := l.run(0)
	require.Regexp(t, `account sms: held`, out)
	require.Regexp(t, `wait, 0 expire before \d\d:\d\d`, out)
	l.until("newsletter", func(s message.Status) bool {
		return s.Held != nil && s.Counts[message.Accepted] > 0 && s.Counts[message.Accepted] == s.Counts.Open()
	})
	before := left()
	require.Less(t, before, n)
	l.list("meanwhile.csv", "+4916199999")
	l.start("meanwhile", "Meanwhile", "", 0)
	l.until("meanwhile", func(s message.Status) bool { return s.Held != nil && s.Counts[message.Accepted] == 1 })
	l.says(`sms +webhook .*by a person .*wrong sender name`)
	require.Equal(t, before, left(), "nothing leaves")
	require.Zero(t, l.got("+4916199999"))

	require.Regexp(t, `account sms: released`, l.run(0))
	for _, id := range []string{"newsletter", "meanwhile"} {
		st := l.until(id, func(s message.Status) bool { return s.State.Closed() })
		require.Equal(t, st.Total, st.Counts[message.Sent], "%s: nothing is lost", id)
	}
	require.Equal(t, n, left())
	for _, to := range append(all, "+4916199999") {
		require.Equal(t, 1, l.got(to), to)
	}

	l.list("later.csv", "+4916188888")
	l.bash(strings.ReplaceAll(hold, "1h", "4s"), 0)
	l.start("later", "Later", "", 0)
	l.until("later", func(s message.Status) bool { return s.State.Closed() && s.Counts[message.Sent] == 1 })
}

func againToSome(t *testing.T, l *questionLab) {
	out := l.run(0)
	require.Contains(t, out, "3 messages, 0 rejected, from batch spring-sale")
	require.Contains(t, out, "1 unknown left out: may have arrived")
	id := regexp.MustCompile(`batch ([0-9a-f-]+):`).FindStringSubmatch(out)[1]
	st := l.until(id, func(s message.Status) bool { return s.State.Closed() })
	require.Equal(t, 2, st.Counts[message.Failed], "who is refused is refused again")
	require.Equal(t, 2, l.got("+4915223459909"), "who did not get it is sent it again")
	for _, to := range []string{"+4915123450031", "+4915223459908", "+4915223459905"} {
		require.Equal(t, 1, l.got(to), "%s got it, or may have", to)
	}
}

func neverAgain(t *testing.T, l *questionLab) {
	const who = "+4915123450005"
	out := l.run(0)
	require.Contains(t, out, "1 recipient, 1 new on the suppression list")
	require.Contains(t, out, "1 message canceled in 1 batch")
	require.Contains(t, out, "2 messages forgotten")
	require.Contains(t, out, "forget again later: winter-letter")
	require.Regexp(t, `tuesday-offer +20\d\d-`, out, "the history, and until when it is there")
	require.Contains(t, out, "backups of Temporal")
	require.Contains(t, l.run(0), "1 of 1 recipient suppressed")

	l.list("new.csv", who, "+4915123450052")
	l.start("new", "New", "--wait", 0) // what is left out as asked is no failure
	require.Equal(t, 1, l.got(who), "Tuesday's, and no other")
	require.Equal(t, 1, l.got("+4915123450052"))
	require.NotContains(t, l.bash("volley find "+who, 0), "tuesday-offer", "the index has forgotten it")
	require.Contains(t, l.bash("volley status winter-letter", 0), "canceled")
}

func whatIsStuck(t *testing.T, l *questionLab) {
	l.list("posted.csv", "+4915123450062")
	l.list("stopped.csv", "+4915123450063")
	l.list("repeated.csv", "+4915123459907")
	l.start("posted", "Posted", "--account letters", 0)
	l.start("stopped", "Stopped", "--send-after 3s", 0)
	l.bash("volley pause stopped", 0)
	l.start("repeated", "Repeated", "", 0)
	l.blocks[0] = strings.ReplaceAll(l.blocks[0], "10m", "1s")
	l.says(`no worker +1 .*letters .*posted`, `paused +1 .*stopped .*volley resume`, `retrying +1 .*sms +\S+ +repeated`)
	l.bash("for id in posted stopped repeated; do volley cancel $id; done", 0)
}

func whoCanceled(t *testing.T, l *questionLab) {
	l.bash("VOLLEY_ACTOR=bob@example.com volley cancel winter-letter --reason 'wrong list'", 0)
	l.says(`cancel +winter-letter +default +bob@example\.com .*"wrong list"`)
}

func atNine(t *testing.T, l *questionLab) {
	l.list("opening.csv", "+4915123450071", "+4915123450072", "+4915123450073", "+4915123450074")
	l.run(0)
	require.Equal(t, 3, l.got("+4915123450008"))
	texts := map[string]bool{}
	for _, m := range l.sandbox.Received() {
		texts[m.Text] = texts[m.Text] || m.To == "+4915123450008"
	}
	require.True(t, texts["Hi Bartholomew, we open at ten."], "the longest: %v", texts)

	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	now := time.Now().In(berlin)
	out := l.run(0)
	nine := time.Date(now.Year(), now.Month(), now.Day()+1, 9, 0, 0, 0, berlin)
	require.Contains(t, out, "due "+nine.Format("2006-01-02 15:04")+" Europe/Berlin")
	st := l.status("opening")
	require.Equal(t, 4, st.Counts[message.Scheduled])
	require.True(t, st.NextDueAt.Equal(nine), "%v", st.NextDueAt)
	for i := range 4 {
		require.Zero(t, l.got(fmt.Sprintf("+491512345007%d", i+1)), "not before")
	}
}
