package dialect

import (
	"strconv"
	"strings"
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
