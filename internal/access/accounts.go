package access

import (
	"regexp"
	"strings"
)

// AccountRules are what a tenant demands of accounts that are made or changed,
// beyond what holds everywhere. Accounts that are older stay as they are.
type AccountRules struct {
	// EmailPattern is a regular expression (RE2) that the whole e-mail must match;
	// any will do when empty.
	EmailPattern string
	// Required are fields that must not be empty: "external_id", or a name among
	// the attributes, as "attributes.region".
	Required []string
	// EmailUnique says within what an e-mail is one account's; EmailPerTenant when
	// empty.
	EmailUnique EmailUnique
}

// EmailUnique is within what an e-mail belongs to one account.
type EmailUnique string

// The ways. With EmailPerStore each store may have an account with an e-mail, as
// long as there is none of all stores with it.
const (
	EmailPerTenant EmailUnique = "tenant"
	EmailPerStore  EmailUnique = "store"
)

// Filled gives the rules with the default in the place of nothing.
func (r AccountRules) Filled() AccountRules {
	fill(&r.EmailUnique, EmailPerTenant)
	return r
}

// Empty tells whether nothing is demanded but what is usual.
func (r AccountRules) Empty() bool {
	return r.EmailPattern == "" && len(r.Required) == 0 && r.Filled().EmailUnique == EmailPerTenant
}

// MayShare tells whether accounts with these homes may have the same e-mail.
func (r AccountRules) MayShare(a, b Scope) bool {
	return r.EmailUnique == EmailPerStore && a != "" && b != "" && a != b
}

const (
	maxEmailPattern   = 500 // bytes
	maxRequiredFields = 50
	attributesPrefix  = "attributes."
)

// Check refuses rules that cannot be kept. Fields are named as in bundle.yaml.
func (r AccountRules) Check() error {
	if _, err := r.email(); err != nil || len(r.EmailPattern) > maxEmailPattern {
		return Invalid("accounts.email_pattern", "is not a regular expression (RE2) of at most %d bytes", maxEmailPattern)
	}
	if u := r.Filled().EmailUnique; u != EmailPerTenant && u != EmailPerStore {
		return Invalid("accounts.email_unique", "%q is neither tenant nor store", string(u))
	}
	if len(r.Required) > maxRequiredFields {
		return Invalid("accounts.required", "names more than %d fields", maxRequiredFields)
	}
	for _, field := range r.Required {
		name, attribute := strings.CutPrefix(field, attributesPrefix)
		if field != "external_id" && (!attribute || ValidName("", name) != nil) {
			return Invalid("accounts.required", "%q is neither external_id nor a name behind attributes.", field)
		}
	}
	return nil
}

func (r AccountRules) email() (*regexp.Regexp, error) {
	return regexp.Compile(`\A(?:` + r.EmailPattern + `)\z`)
}

// Admits refuses an account that lacks what is demanded, by its field. was is the
// account before; the zero value for a new one. What was wrong before is nobody's
// mistake now, so that accounts can still be deactivated.
func (r AccountRules) Admits(was, now *User) error {
	if r.EmailPattern != "" && now.Email != was.Email {
		whole, err := r.email()
		if err != nil || !whole.MatchString(now.Email) {
			return Invalid("email", "%q is not an address of the form that this tenant demands", now.Email)
		}
	}
	for _, field := range r.Required {
		if empty(now, field) && (was.ID == "" || !empty(was, field)) {
			return Invalid(field, "is required in this tenant")
		}
	}
	return nil
}

func empty(u *User, field string) bool {
	name, attribute := strings.CutPrefix(field, attributesPrefix)
	if !attribute {
		return u.ExternalID == ""
	}
	v, there := u.Attributes[name]
	return !there || v == nil || v == ""
}
