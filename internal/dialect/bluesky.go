package dialect

import "volley/internal/message"

func decodeBluesky(body []byte, o Options) (*message.Batch, message.Problems) { return nil, nil }
