package httpapi

import (
	"io/fs"
	"testing/fstest"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

var policyNames = names{known: []string{"files", "reason", "base_revision", "dry_run", "create_tenant", "plan"}, closed: true}

func (c *call) loadPolicy() error {
	var w api.Policy
	if err := c.read(func(r *reader) error { return r.policy(&w) }); err != nil {
		return err
	}
	files, err := filesOf(w.Files)
	if err != nil {
		return err
	}
	result, err := c.api.o.Policies.Load(c.ctx(), c.caller, c.tenant, files, service.LoadOptions{
		Base: access.Revision(w.BaseRevision), Reason: w.Reason, Source: source,
		DryRun: w.DryRun, CreateTenant: w.CreateTenant, Plan: w.Plan,
	})
	if err != nil {
		return err
	}
	return c.foretell(func(most int) any {
		return api.PolicyLoaded{
			Tenant: result.Tenant, Revision: uint64(result.Revision), Changed: result.Changed, DryRun: w.DryRun,
			Tests:    api.TestSummary{Passed: result.Tests.Passed, Failed: result.Tests.Failed, Skipped: result.Tests.Skipped},
			Warnings: DetailsOf(result.Warnings), Foretold: foretoldOf(result.Foretold, most),
		}
	}, toldBy(result.Foretold), nil)
}

func (r *reader) policy(to *api.Policy) error {
	return r.object("", &policyNames, func(name string) error {
		switch name {
		case "files":
			return r.files(name, to)
		case "reason":
			return r.prose(name, &to.Reason)
		case "plan":
			return r.text(name, &to.Plan)
		case "dry_run":
			return r.flag(name, &to.DryRun)
		case "create_tenant":
			return r.flag(name, &to.CreateTenant)
		}
		var base int64
		err := r.integer(name, &base)
		if base < 0 {
			r.note(access.Invalid(name, "must not be negative"))
		}
		to.BaseRevision = uint64(max(base, 0))
		return err
	})
}

// files reads an object of texts.
func (r *reader) files(field string, to *api.Policy) error {
	if ok, err := r.begin(field, '{', "an object"); !ok {
		return err
	}
	to.Files = map[string]string{}
	for count := 1; r.dec.PeekKind() != '}'; count++ {
		name, err := r.memberName(count)
		if err != nil {
			return err
		}
		path, err := r.cut(name)
		if err != nil {
			return err
		}
		text := ""
		if err := r.textUpTo(field+"."+path, maxPolicyBody, &text); err != nil {
			return err
		}
		to.Files[path] = text
	}
	_, err := r.dec.ReadToken()
	return err
}

// filesOf gives the files as a file system. They are never written anywhere.
func filesOf(texts map[string]string) (fs.FS, error) {
	if len(texts) == 0 {
		return nil, access.Invalid("files", "must hold at least one file")
	}
	files := fstest.MapFS{}
	for path, text := range texts {
		if !fs.ValidPath(path) || path == "." {
			return nil, access.Invalid("files", "%q is not a path: write it relative to the bundle, with / between parts", path)
		}
		files[path] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	return files, nil
}
