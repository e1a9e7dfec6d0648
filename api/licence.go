package api

// Licence is a feature that a tenant holds.
type Licence struct {
	Feature string `json:"feature"`
	// 0: as many as are wanted.
	Seats int `json:"seats"`
	// How many users hold a seat.
	Used int `json:"used"`
	// How many seats are left; left out where there is no limit.
	Free     *int   `json:"free,omitempty"`
	Revision uint64 `json:"revision,omitzero"`
}

// Licences is what a tenant holds.
type Licences struct {
	Licences []Licence `json:"licences"`
	Revision uint64    `json:"revision"`
}

// NewLicence gives a tenant a licence, or another number of seats.
type NewLicence struct {
	// 0: as many as are wanted.
	Seats int `json:"seats"`
	Edit
}
