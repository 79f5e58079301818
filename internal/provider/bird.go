package provider

func birdFields(a Account) []field {
	return []field{
		address("base_url", a.BaseURL), text("workspace", a.Workspace), text("channel", a.Channel),
		secret("access_key", a.AccessKey),
	}
}

func newBird(a Account, c *client) (Sender, error) { return nil, nil }
