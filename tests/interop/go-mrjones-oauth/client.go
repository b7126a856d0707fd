// The client that uses github.com/mrjones/oauth. Reads one JSON document, prints one JSON line a step.
package main

import (
	"crypto"
	_ "crypto/sha1"
	_ "crypto/sha256"
	"encoding/json"
	"io/ioutil"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/mrjones/oauth"
)

type task struct {
	BaseURL         string `json:"base_url"`
	RequestTokenURL string `json:"request_token_url"`
	AccessTokenURL  string `json:"access_token_url"`
	ConsumerKey     string `json:"consumer_key"`
	ConsumerSecret  string `json:"consumer_secret"`
	Verifier        string `json:"verifier"`
	SignatureMethod string `json:"signature_method"`
	Steps           []step `json:"steps"`
}

type step struct {
	Name   string      `json:"name"`
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Query  [][2]string `json:"query"`
	Form   [][2]string `json:"form"`
	JSON   string      `json:"json"`
}

type line struct {
	Step   string `json:"step"`
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func main() {
	var todo task
	must(json.NewDecoder(os.Stdin).Decode(&todo))
	hash := map[string]crypto.Hash{"HMAC-SHA1": crypto.SHA1, "HMAC-SHA256": crypto.SHA256}[todo.SignatureMethod]
	provider := oauth.ServiceProvider{
		RequestTokenUrl: todo.RequestTokenURL,
		AccessTokenUrl:  todo.AccessTokenURL,
		HttpMethod:      http.MethodPost,
	}
	consumer := oauth.NewCustomConsumer(todo.ConsumerKey, todo.ConsumerSecret, hash, provider, http.DefaultClient)
	temporary, _, err := consumer.GetRequestTokenAndUrl("oob")
	must(err)
	report(line{Step: "request token", Status: 200})
	token, err := consumer.AuthorizeToken(temporary, todo.Verifier)
	must(err)
	report(line{Step: "access token", Status: 200})
	client, err := consumer.MakeHttpClient(token)
	must(err)
	for _, one := range todo.Steps {
		response, err := client.Do(request(todo.BaseURL, one))
		must(err)
		body, err := ioutil.ReadAll(response.Body)
		must(err)
		response.Body.Close()
		report(line{Step: one.Name, Status: response.StatusCode, Body: string(body)})
	}
}

func request(base string, one step) *http.Request {
	body, kind := one.JSON, "application/json"
	if one.Form != nil {
		body, kind = values(one.Form).Encode(), "application/x-www-form-urlencoded"
	}
	target := base + one.Path
	if one.Query != nil {
		target += "?" + values(one.Query).Encode()
	}
	made, err := http.NewRequest(one.Method, target, strings.NewReader(body))
	must(err)
	if body != "" {
		made.Header.Set("Content-Type", kind)
	}
	return made
}

func values(pairs [][2]string) url.Values {
	all := url.Values{}
	for _, pair := range pairs {
		all.Add(pair[0], pair[1])
	}
	return all
}

func report(what line) {
	must(json.NewEncoder(os.Stdout).Encode(what))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
