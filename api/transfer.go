package api

// Imported tells what the import of a table of accounts has done, or with
// dry_run would do.
type Imported struct {
	// Nothing was changed: it was only looked at what would be.
	DryRun    bool `json:"dry_run,omitempty"`
	Created   int  `json:"created"`
	Updated   int  `json:"updated"`
	Unchanged int  `json:"unchanged"`
	// The accounts that are not unchanged, by line.
	Accounts []ImportedAccount `json:"accounts"`
	Revision uint64            `json:"revision"`
	// In a dry run.
	Foretold
}

// ImportedAccount is an account that a line of a table makes or changes.
type ImportedAccount struct {
	// Of the table, from 1; its head is line 1.
	Line int `json:"line"`
	// Of an account that would be made it is left out where it will be random.
	ID    string `json:"id,omitempty"`
	Email string `json:"email"`
	// create or update.
	Change string `json:"change"`
	// What is different about an account that was there.
	Fields []string `json:"fields,omitempty"`
}
