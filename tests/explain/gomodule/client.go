// github.com/gomodule/oauth1, each time misused as the case says. usage: client CASE < task.json
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/gomodule/oauth1/oauth"
)

type task struct {
	URL            string `json:"url"`
	ConsumerKey    string `json:"consumer_key"`
	ConsumerSecret string `json:"consumer_secret"`
	Token          string `json:"token"`
	TokenSecret    string `json:"token_secret"`
}

func main() {
	var todo task
	must(json.NewDecoder(os.Stdin).Decode(&todo))
	const path = "/rest/V1/products"
	cases := map[string]func(){
		"right": func() { send(todo, "GET", path+"?page=2", path+"?page=2", nil, "") },
		// http.Request.URL without its query.
		"query not given": func() { send(todo, "GET", path, path+"?page=2&size=5", nil, "") },
		"form not given":  func() { send(todo, "POST", path, path, nil, "name=Jane&n=1") },
		"form as given":   func() { send(todo, "POST", path, path, url.Values{"name": {"Jane"}, "n": {"1"}}, "name=Jane&n=1") },
		"encoded form":    func() { send(todo, "POST", path, path, url.Values{"q": {"a%20b"}}, "q=a%20b") },
		"slash":           func() { send(todo, "GET", path+"/", path, nil, "") },
		"default method":  func() { send(todo, "POST", path, path, nil, "GET") },
		"site's root":     func() { send(todo, "GET", "/", path, nil, "") },
		"no port": func() {
			signed := must2(url.Parse(todo.URL))
			signed.Host, signed.Path = signed.Hostname(), path
			sendURL(todo, "GET", signed, path, nil, "")
		},
	}
	cases[os.Args[1]]()
}

func send(todo task, method, signed, sent string, form url.Values, body string) {
	sendURL(todo, method, must2(url.Parse(todo.URL+signed)), sent, form, body)
}

func sendURL(todo task, method string, signed *url.URL, sent string, form url.Values, body string) {
	client := oauth.Client{
		Credentials:     oauth.Credentials{Token: todo.ConsumerKey, Secret: todo.ConsumerSecret},
		SignatureMethod: oauth.HMACSHA1,
	}
	token := &oauth.Credentials{Token: todo.Token, Secret: todo.TokenSecret}
	sentMethod := method
	if body == "GET" {
		sentMethod, body = "GET", ""
	}
	request, err := http.NewRequest(sentMethod, todo.URL+sent, strings.NewReader(body))
	must(err)
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	must(client.SetAuthorizationHeader(request.Header, token, method, signed, form))
	response, err := http.DefaultClient.Do(request)
	must(err)
	response.Body.Close()
}

func must2(parsed *url.URL, err error) *url.URL {
	must(err)
	return parsed
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
