package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"
)

// cutVerb parts a path like /users/{id}:activate into the path of the thing and
// what is done to it.
func cutVerb(path string) (thing, verb string) {
	at := strings.LastIndexByte(path, ':')
	if at < 0 || at < strings.LastIndexByte(path, '/') {
		return path, ""
	}
	return path[:at], path[at+1:]
}

// served gives a path as gin has it. Behind a parameter it cannot see a verb,
// since a name may hold a colon itself: act looks for it then.
func served(path string) string {
	thing, verb := cutVerb(path)
	if verb == "" || strings.HasSuffix(thing, "}") {
		return ginPath(thing)
	}
	return ginPath(thing) + `\:` + verb
}

// act leaves a request to one of several verbs, which stands behind the last
// colon of the path. Nothing else may end in it.
func act(verbs map[string]gin.HandlerFunc, unknown gin.HandlerFunc) gin.HandlerFunc {
	return func(g *gin.Context) {
		thing := &g.Params[len(g.Params)-1]
		if id, verb := cutVerb(thing.Value); verbs[verb] != nil {
			thing.Value = id
			verbs[verb](g)
			return
		}
		unknown(g)
	}
}
