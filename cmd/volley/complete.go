package main

import (
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/dialect"
	"volley/internal/message"
)

// offer completes a flag's value with fixed words.
func offer(cmd *cobra.Command, flag string, words ...string) {
	complete(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag's name is wrong, which every start of the program shows
	}
}

func dialectNames() []string {
	var names []string
	for _, d := range dialect.All() {
		names = append(names, d.Name)
	}
	return names
}

// completeList completes the last of several words with commas between them.
func completeList(words []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		var out []string
		for _, w := range words {
			out = append(out, before+w)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

func batchStates() []string {
	return []string{
		string(message.BatchScheduled), string(message.BatchRunning), string(message.BatchPaused), string(message.BatchCanceling),
		string(message.BatchCanceled), string(message.BatchCompleted), string(message.BatchFailed),
	}
}

// completeAccounts offers the accounts of the configuration.
func (a *app) completeAccounts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, account := range c.Accounts() {
		names = append(names, account.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// noFiles keeps the shell from offering files where an id is meant.
func noFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}
