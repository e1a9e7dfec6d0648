package store

import (
	"database/sql"
	"errors"
)

// passwords compares what people sign in with to what the history says of it. Of
// passwords that are older than their checks it tells when they were set.
func (d *drift) passwords() error {
	query := "SELECT user_id, password, set_at, must_change FROM credential WHERE tenant_id = ? AND password <> ''"
	return each(d.ctx, d.tx, query, []any{d.tenant.ID}, func(rows *sql.Rows) error {
		var r credentialRow
		if err := rows.Scan(&r.UserID, &r.Password, &r.SetAt, &r.MustChange); err != nil {
			return err
		}
		var said passwordImage
		text := d.signIn[object{kindPassword, r.UserID}]
		if text == "" {
			d.signsIn(kindPassword, r.UserID, false)
			return nil
		}
		if err := decode("password of "+r.UserID, text, &said); err != nil {
			return err
		}
		is, _ := r.image().(passwordImage)
		same := said.Set.Equal(is.Set) && said.MustChange == is.MustChange && (said.Check == "" || said.Check == is.Check)
		d.signsIn(kindPassword, r.UserID, same)
		return nil
	})
}

// secondFactors does the same. Recovery codes may have been used up; one that was
// put in the place of another does not show.
func (d *drift) secondFactors() error {
	query := "SELECT " + secondFactorColumns + " FROM second_factor WHERE tenant_id = ?"
	err := each(d.ctx, d.tx, query, []any{d.tenant.ID}, func(rows *sql.Rows) error {
		var r secondFactorRow
		if err := rows.Scan(&r.UserID, &r.Sealed, &r.Pending, &r.ConfirmedAt, &r.LastStep, &r.Recovery); err != nil {
			return err
		}
		at := object{kindSecondFactor, r.UserID}
		text := d.signIn[at]
		delete(d.signIn, at)
		is, has := r.image().(secondFactorImage)
		if !has || text == "" {
			d.signsIn(kindSecondFactor, r.UserID, !has && text == "")
			return nil
		}
		var said secondFactorImage
		err := decode("second factor of "+r.UserID, text, &said)
		same := said.Confirmed.Equal(is.Confirmed) && is.RecoveryCodes <= said.RecoveryCodes && (said.Check == "" || said.Check == is.Check)
		d.signsIn(kindSecondFactor, r.UserID, same)
		return err
	})
	if err != nil {
		return err
	}
	return d.removedFactors()
}

// removedFactors finds accounts that had a second factor, and whose row is gone:
// only what is purged loses it so.
func (d *drift) removedFactors() error {
	for at, text := range d.signIn {
		if at.kind != kindSecondFactor || text == "" {
			continue
		}
		row, err := (&reading{view: d.view}).userRow("id", at.name)
		if errors.Is(err, sql.ErrNoRows) {
			continue // the account itself is missing, which shows
		}
		if err != nil {
			return err
		}
		u, err := row.user()
		d.signsIn(kindSecondFactor, at.name, err != nil || !u.PurgedAt.IsZero())
	}
	return nil
}

func (d *drift) signsIn(kind, user string, same bool) {
	if !same {
		d.found = append(d.found, Drift{Kind: kind, Name: user, There: true})
	}
}
