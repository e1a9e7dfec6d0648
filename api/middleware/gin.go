// Package middleware guards gin handlers with questions to Bailiwick. For
// net/http there is api.RequireHTTP, which needs no gin.
package middleware

import (
	"github.com/gin-gonic/gin"

	"github.com/bailiwick/bailiwick/api"
)

// Gin lets requests through to the next handlers that are allowed, and answers
// the others with a problem document: 403 when denied, 503 when no answer could
// be had.
func Gin(c api.Checker, ask api.Question) gin.HandlerFunc {
	return func(g *gin.Context) {
		if status := api.Guard(c, ask, g.Request); status != 0 {
			api.Refuse(g.Writer, status)
			g.Abort()
			return
		}
		g.Next()
	}
}
