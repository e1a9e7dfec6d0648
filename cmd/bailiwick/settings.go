package main

import (
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/store"
)

// settings are the configuration's flags on one command, and --config.
type settings struct {
	file  string
	given *pflag.FlagSet
}

// settingsFlags offers the keys of some sections ("server.", "store.") as
// flags; of all when none is named.
func settingsFlags(cmd *cobra.Command, sections ...string) *settings {
	s := &settings{given: pflag.NewFlagSet("settings", pflag.ContinueOnError)}
	for _, k := range config.Keys() {
		if !inSections(k.Name, sections) {
			continue
		}
		usage, _, _ := strings.Cut(k.Usage, ". ")
		s.given.String(k.Flag(), "", strings.TrimSuffix(usage, ".")+" (default "+shownDefault(k.Default)+", "+k.Variable()+")")
	}
	cmd.Flags().StringVar(&s.file, "config", "", "configuration file (BAILIWICK_CONFIG)")
	cmd.Flags().AddFlagSet(s.given)
	return s
}

func inSections(key string, sections []string) bool {
	for _, s := range sections {
		if strings.HasPrefix(key, s) {
			return true
		}
	}
	return len(sections) == 0
}

func shownDefault(d string) string {
	if d == "" {
		return "none"
	}
	return d
}

// load reads flags over environment over file.
func (s *settings) load() (config.Config, error) {
	flags := map[string]string{}
	s.given.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			flags[f.Name] = f.Value.String()
		}
	})
	return loadConfig(s.file, flags)
}

// loadConfig makes one line of each mistake; all of them concern what was typed
// or written by the person who starts the program.
func loadConfig(file string, flags map[string]string) (config.Config, error) {
	cfg, err := config.Load(config.LoadOptions{File: file, Env: os.Environ(), Flags: flags})
	var mistakes config.Mistakes
	if errors.As(err, &mistakes) {
		return cfg, &exitError{exitUsage, err}
	}
	return cfg, err
}

func (c *cli) log(l config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // Validate let only levels through
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(c.err, o))
	}
	return slog.New(slog.NewJSONHandler(c.err, o))
}

func storeOptions(cfg config.Config, log *slog.Logger) store.Options {
	return store.Options{
		Driver: cfg.Store.DriverName(), DSN: cfg.Store.DSN, Log: log,
		MaxOpenConns: cfg.Store.MaxOpenConns, MaxIdleConns: cfg.Store.MaxIdleConns, MaxRules: cfg.Limits.Rules,
		ResidentUsers: residentUsers(cfg.Limits),
	}
}

// residentUsers: where none is wanted, zero is said, which to the store means
// that nothing is said.
func residentUsers(l config.Limits) int {
	if l.ResidentUsers == 0 {
		return -1
	}
	return l.ResidentUsers
}

// any tells whether one of the flags was given.
func (s *settings) any() bool {
	given := s.file != ""
	s.given.VisitAll(func(f *pflag.Flag) { given = given || f.Changed })
	return given
}
