package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"volley/internal/message"
)

// The names of columns that are taken for more than a parameter, as plainName has
// them. docs/dialects/volley.md lists them; nothing else is guessed.
var (
	sendTimeColumns = nameSet(`send_at send_on send_time send_date send_date_time send_later send_after
		schedule schedule_at schedule_for schedule_time schedule_date
		scheduled scheduled_at scheduled_for scheduled_time scheduled_date
		deliver_at deliver_on deliver_after deliver_time deliver_date due_at not_before`)
	consentColumns = nameSet(`unsubscribed unsubscribe unsubscribed_at unsubscribed_on unsubscribe_date unsub unsubs unsubbed
		sms_unsubscribed sms_unsubscribe email_unsubscribed email_unsubscribe
		opt_out opt_outs opted_out opt_out_at opted_out_at opt_out_date sms_opt_out sms_opted_out email_opt_out email_opted_out marketing_opt_out
		dnc do_not_contact do_not_call do_not_send do_not_text do_not_sms do_not_email do_not_mail no_sms no_email no_contact
		suppressed suppress suppression blocked blocklist blocklisted blacklist blacklisted stop stopped`)
	agreementColumns = nameSet(`subscribed opt_in opted_in opt_in_at opted_in_at sms_opt_in sms_opted_in email_opt_in email_opted_in marketing_opt_in
		consent consented sms_consent email_consent marketing_consent gdpr_consent`)
	recipientColumns = nameSet(`phone phone_number phone_no mobile mobile_number mobile_phone mobile_no cell cell_phone cell_number
		msisdn telephone telephone_number tel number e164 whatsapp whatsapp_number sms
		recipient recipients receiver destination email email_address mail contact`)
)

func nameSet(names string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(names) {
		set[plainName(name)] = true
	}
	return set
}

var plainer = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// plainName is a name without what people write in different ways: case, spaces,
// hyphens, underscores and dots.
func plainName(name string) string { return plainer.Replace(strings.ToLower(name)) }

// IsRecipientColumn reports whether a column of this name usually has recipients.
func IsRecipientColumn(name string) bool {
	plain := plainName(strings.TrimSpace(name))
	return plain == "to" || recipientColumns[plain]
}

// setting writes an option with its value as the caller would: a flag, or a
// parameter of the HTTP API.
func (o Options) setting(flag, value string) string {
	if o.OverHTTP {
		return parameter(flag) + "=" + value
	}
	if strings.ContainsAny(value, " \t\"'$&;|<>()*?#") {
		value = strconv.Quote(value)
	}
	return "--" + flag + " " + value
}

// parameter is the parameter of the HTTP API that does what a flag does: toColumn is
// that of to-column.
func parameter(flag string) string {
	words := strings.Split(flag, "-")
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return strings.Join(words, "")
}

// mapping writes the option that gives a column a name.
func (o Options) mapping(name, column string) string {
	if name == "to" {
		return o.setting("to-column", column)
	}
	return o.setting("map", name+"="+column)
}

// warnUnused names the columns that nothing uses. One whose name says that it
// decides when or whether to send is more than a remark.
func (l *csvLayout) warnUnused(used []bool, needs []string, o Options) {
	var rest, results []string
	ofResults := slices.Equal(l.names, message.RowColumns())
	for i, name := range l.names {
		if used[i] || o.Columns.IgnoreRest {
			continue
		}
		if ofResults {
			results = append(results, name)
			continue
		}
		why := ""
		switch plain := plainName(name); {
		case sendTimeColumns[plain]:
			why = fmt.Sprintf("by its name the column %q has send times, and nothing uses it; %s, or %s",
				name, o.mapping("send_after", name), o.setting("ignore-columns", name))
		case consentColumns[plain]:
			why = fmt.Sprintf("by its name the column %q says who wants no message, and nothing uses it; %s leaves rows out, %s sends to all",
				name, o.setting("skip-if", name+"=VALUE"), o.setting("ignore-columns", name))
		case agreementColumns[plain]:
			why = fmt.Sprintf("by its name the column %q says who agreed to messages, and nothing uses it; %s, or the value that the file has, leaves out who did not, %s sends to all",
				name, o.setting("skip-if", name+"=no"), o.setting("ignore-columns", name))
		case l.noTo != "" || slices.ContainsFunc(l.requested, isRecipient) || isBlank(o.Text):
			continue // nobody can say yet
		default:
			rest = append(rest, name)
			continue
		}
		path := fmt.Sprintf("columns[%d]", i)
		if o.Columns.Refuse {
			l.problem(path, message.CodeUnknownField, "%s", why)
		} else {
			l.warnings.Add(message.WholeBatch, path, message.CodeUnknownField, "%s", why)
		}
	}
	if len(results) > 0 {
		l.warnings.Add(message.WholeBatch, "columns", message.CodeUnused,
			"the file has the results of a batch, of which these columns are not read: %s", listed(results))
	}
	odd := oddText(o.Text, rest)
	if len(rest) > 0 {
		noun, hint := "columns", ""
		if len(rest) == 1 {
			noun = "column"
		}
		if len(needs) == 0 && len(odd) == 0 {
			hint = noPlaceholder(o)
		}
		l.warnings.Add(message.WholeBatch, "columns", message.CodeUnused, "no text uses the %s %s%s", noun, listed(rest), hint)
	}
	l.warnings = append(l.warnings, odd...)
}

// noPlaceholder is what to say of a text without placeholders beside columns that
// could fill some.
func noPlaceholder(o Options) string {
	if o.OverHTTP {
		return "; the text has no placeholder"
	}
	return "; the text has no placeholder (for a shell, ${name} stands in single quotes)"
}
