package main

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/audit"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// recording is the log of decisions; nil where nothing is kept.
type recording struct{ *audit.Log }

// openRecording opens every sink that is configured.
func openRecording(cfg config.Decisions, db audit.Keeper, out io.Writer, log *slog.Logger) (*recording, error) {
	if !cfg.On() {
		return nil, nil //nolint:nilnil // nothing is kept
	}
	sample, mask, err := whatIsKept(cfg)
	if err != nil {
		return nil, err
	}
	o := audit.Options{Queue: cfg.Queue, Strict: cfg.Strict, Wait: cfg.StrictWait, Sample: sample, Mask: mask, Clock: clock(), Log: log}
	if slices.Contains(cfg.Sinks, "file") {
		file, err := audit.OpenFile(audit.FileOptions{
			Path: cfg.File, MaxBytes: int64(cfg.FileSize), MaxAge: cfg.FileAge, Keep: cfg.FileKeep, Sync: cfg.FileSync || cfg.Strict, Clock: clock(),
		})
		if err != nil {
			return nil, err
		}
		o.Sinks = append(o.Sinks, file)
	}
	if slices.Contains(cfg.Sinks, "stdout") {
		o.Sinks = append(o.Sinks, audit.Stream{To: out})
	}
	if slices.Contains(cfg.Sinks, "store") {
		o.Sinks = append(o.Sinks, &audit.Stored{Keeper: db, Age: cfg.StoreAge, Rows: cfg.StoreRows, Clock: clock(), Log: log})
	}
	return &recording{audit.New(o)}, nil
}

// whatIsKept reads the rules, of which a mistake is one of the configuration.
func whatIsKept(cfg config.Decisions) (audit.Sample, audit.Mask, error) {
	mask := maskOf(cfg)
	sample, err := audit.ParseSample("decisions.sample", cfg.Sample)
	if err = errors.Join(err, mask.Check("decisions.mask")); err != nil {
		return sample, mask, &exitError{exitUsage, err}
	}
	return sample, mask, nil
}

func maskOf(cfg config.Decisions) audit.Mask {
	return audit.Mask{Key: []byte(cfg.MaskKey), Subjects: cfg.MaskUsers, Hashed: cfg.Mask, Dropped: cfg.Drop}
}

// close writes what is waiting.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	return r.Close()
}

// record has the answers of the house kept.
func (h *house) record(r *recording) {
	if r != nil {
		h.decisions.RecordTo(r.Log)
	}
}

// auditTrouble is what is wrong with what should be recorded, for readiness.
func (h *house) auditTrouble(r *recording) func() []string {
	return func() []string {
		all := h.refusals.Trouble()
		if r != nil {
			all = append(all, r.Trouble()...)
		}
		return all
	}
}

func (r *recording) series() []httpapi.Series {
	if r == nil {
		return nil
	}
	s := r.Stats()
	all := []httpapi.Series{
		counter("bailiwick_decision_log_recorded_total", "Decisions that were kept in every sink of their log.", float64(s.Recorded)),
		counter("bailiwick_decision_log_left_out_total", "Decisions that were not kept by the rules of the sample.", float64(s.LeftOut)),
		{Name: "bailiwick_decision_log_waiting", Help: "Decisions that wait to be kept.", Value: float64(s.Waiting)},
		{Name: "bailiwick_decision_log_queue", Help: "Decisions that may wait to be kept.", Value: float64(s.Queue)},
		labelled("bailiwick_decision_log_lost_total", "Decisions that are missing in their log: an alarm.", "cause", "queue", s.Lost),
	}
	for _, sink := range s.Sinks {
		all = append(all,
			labelled("bailiwick_decision_log_lost_total", "Decisions that are missing in their log: an alarm.", "cause", sink.Name, sink.Lost),
			labelled("bailiwick_decision_log_written_total", "Decisions that were written, by sink.", "sink", sink.Name, sink.Written),
			labelled("bailiwick_decision_log_failures_total", "Attempts to write decisions that failed, by sink.", "sink", sink.Name, sink.Failures))
	}
	return all
}

func labelled(name, help, label, of string, value uint64) httpapi.Series {
	s := counter(name, help, float64(value))
	s.Label, s.Of = label, of
	return s
}

// records looks into the log, and gives its answers again.
func (h *house) lookBack(s service.RecordStore, cfg config.Decisions, log *slog.Logger) {
	mask := maskOf(cfg)
	h.records = service.NewRecords(s, h.past, h.follower, h.authority, service.RecordsOptions{
		Subject: mask.Subject,
		Alarm: func(r service.Replay) {
			h.replaysThatDiffer.Add(1)
			log.Error("a decision comes out otherwise when it is replayed", "tenant", r.Recorded.Tenant, "decision", r.Recorded.ID,
				"revision", r.Recorded.Decision.Revision, "differs", r.Differs, "at", r.Recorded.At.Format(time.RFC3339Nano))
		},
	})
}

func (h *house) replaySeries() []httpapi.Series {
	return []httpapi.Series{counter("bailiwick_replay_differences_total",
		"Recorded decisions that came out otherwise when they were replayed: an alarm.", float64(h.replaysThatDiffer.Load()))}
}
