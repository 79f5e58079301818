package provider

func webhookFields(a Account) []field {
	return []field{address("url", a.URL), secret("secret", a.Secret)}
}

func newWebhook(a Account, c *client) (Sender, error) { return nil, nil }
