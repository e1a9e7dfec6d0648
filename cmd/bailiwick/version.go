package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (see the Makefile); where it is not, what the Go
// toolchain stamped into the program must do.
var version string

type versionAnswer struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Casbin   string `json:"casbin"`
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Example: `  bailiwick version
  bailiwick version -o json`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := ownVersion()
			return c.answer(v, func(w io.Writer) {
				fmt.Fprintf(w, "bailiwick %s (%s, %s, casbin %s)\n", v.Version, v.Go, v.Platform, v.Casbin)
			})
		},
	}
}

// ownVersion reads what linker and toolchain stamped into the program.
func ownVersion() versionAnswer {
	v := versionAnswer{
		Version: "unknown", Go: runtime.Version(), Casbin: "unknown",
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(version, info.Main.Version, v.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/casbin/casbin/v2" {
			v.Casbin = d.Version
		}
	}
	return v
}
