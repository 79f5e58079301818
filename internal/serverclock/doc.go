// Package serverclock measures how far this machine's clock is from the Temporal
// server's, and tells the server's time.
package serverclock
