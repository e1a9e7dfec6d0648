package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	forgetRows  = 1000 // are removed at once, so that no transaction takes long
	forgetTimes = 20   // for each time that is counted
)

// forgetLog removes rows of a log that has a seq: first what is old, then what is
// beyond the bound, which may be overdrawn by a hundredth before it is counted.
func (s *Store) forgetLog(ctx context.Context, table, at string, before time.Time, most int) (done bool, err error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	if !before.IsZero() {
		if done, err := s.forgetOld(ctx, table, at, before); !done || err != nil {
			return done, err
		}
	}
	if most <= 0 {
		return true, nil
	}
	return s.forgetMany(ctx, table, most)
}

// forgetOld looks at the oldest rows alone. A row that came late, behind younger
// ones, goes when they do.
func (s *Store) forgetOld(ctx context.Context, table, at string, before time.Time) (done bool, err error) {
	var oldest []struct{ Seq, At int64 }
	err = s.db.WithContext(ctx).Table(table).Select("seq, " + at + " AS at").Order("seq").Limit(forgetRows).Find(&oldest).Error
	if err != nil {
		return false, err
	}
	old := slices.IndexFunc(oldest, func(r struct{ Seq, At int64 }) bool { return r.At >= before.UnixMicro() })
	if old < 0 {
		old = len(oldest)
	}
	if old == 0 {
		return true, nil
	}
	return old < forgetRows, s.db.WithContext(ctx).Exec("DELETE FROM "+table+" WHERE seq <= ?", oldest[old-1].Seq).Error
}

// held is how many rows of a log are a tenant's.
type held struct {
	Tenant string
	Rows   int
}

// forgetMany counts, which takes long, only when enough has come since.
func (s *Store) forgetMany(ctx context.Context, table string, most int) (done bool, err error) {
	var newest int64
	if err := s.db.WithContext(ctx).Table(table).Select("COALESCE(MAX(seq), 0)").Scan(&newest).Error; err != nil {
		return false, err
	}
	if last, known := s.counted.Load(table); known && newest-last.(int64) <= int64(most/100) {
		return true, nil
	}
	var all []held
	if err := s.reader.WithContext(ctx).Table(table).Select("tenant, COUNT(*) AS `rows`").Group("tenant").Find(&all).Error; err != nil {
		return false, err
	}
	times := 0
	for _, h := range beyond(all, most) {
		for ; h.Rows > 0; h.Rows -= forgetRows {
			if times++; times > forgetTimes {
				return false, nil
			}
			if err := s.forgetOldest(ctx, table, h.Tenant, min(h.Rows, forgetRows)); err != nil {
				return false, err
			}
		}
	}
	s.counted.Store(table, newest)
	return true, nil
}

// forgetOldest removes so many rows of a tenant. Ids sort by the moment.
func (s *Store) forgetOldest(ctx context.Context, table, tenant string, many int) error {
	var last []string
	err := s.db.WithContext(ctx).Table(table).Where("tenant = ?", tenant).Order("id").Offset(many-1).Limit(1).Pluck("id", &last).Error
	if err != nil || len(last) == 0 { // another replica was quicker
		return err
	}
	return s.db.WithContext(ctx).Exec("DELETE FROM "+table+" WHERE tenant = ? AND id <= ?", tenant, last[0]).Error
}

// beyond tells how many rows each tenant has beyond his share: who has less than
// that leaves the rest to the others.
func beyond(all []held, most int) []held {
	slices.SortFunc(all, func(a, b held) int { return cmp.Compare(a.Rows, b.Rows) })
	var over []held
	for i, h := range all {
		share := most / (len(all) - i)
		if h.Rows > share {
			over = append(over, held{h.Tenant, h.Rows - share})
		}
		most -= min(h.Rows, share)
	}
	return over
}
