#!/usr/bin/python3

# Copyright (C) Spaces for nginx contributors

# A login, as small as one can be that is meant: a password begins a session, a
# cookie carries it, and nginx asks with each request whose it is.  For
# conf/examples/login.conf; Python's own library is all it needs.
#
#     login.py add users ana        asks for a password
#     login.py serve users 8081     on 127.0.0.1, for nginx alone
#
# Sessions are kept in memory: start it anew, and everybody is logged out.

import getpass
import hashlib
import hmac
import html
import os
import re
import secrets
import sys
import time
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

LASTS = 12 * 3600       # s

sessions = {}           # sha256 of the cookie: (name, until)


# users: a line each, name:salt:hash, the last one of a name counts

def hash_of(password, salt):
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt),
                          n=16384, r=8, p=1).hex()


def add_user(users, name):
    if not re.fullmatch(r'[a-z0-9._-]{1,64}', name):
        sys.exit('a name is of a-z, 0-9, ".", "_" and "-"')
    password = getpass.getpass() if sys.stdin.isatty() else input()
    salt = secrets.token_hex(16)
    fd = os.open(users, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open(fd, 'w') as file:
        file.write(f'{name}:{salt}:{hash_of(password, salt)}\n')


def is_password(users, name, password):
    with open(users) as file:
        known = {user: rest for user, *rest in
                 (line.strip().split(':') for line in file if ':' in line)}
    # who is unknown takes as long as who is known
    salt, right = known.get(name, ('00', ''))
    return hmac.compare_digest(hash_of(password, salt), right)


# sessions: what is kept opens nothing, should it be seen

def key_of(cookie):
    return hashlib.sha256(cookie.encode()).digest()


def begin_session(name):
    now = time.time()
    for key in [key for key, (_, until) in list(sessions.items())
                if until < now]:
        sessions.pop(key, None)
    cookie = secrets.token_urlsafe(32)
    sessions[key_of(cookie)] = (name, now + LASTS)
    return cookie


def user_of(cookie):
    name, until = sessions.get(key_of(cookie), (None, 0))
    return name if until > time.time() else None


PAGE = '''<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Spaces</title>
%s
</html>
'''

FORM = '''<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username"></label>
<label>Password <input name="password" type="password"
                       autocomplete="current-password"></label>
<button>Log in</button>
</form>'''

HELLO = '''<p>You are %s.</p>
<form method="post" action="/logout"><button>Log out</button></form>'''


class Login(BaseHTTPRequestHandler):

    def do_GET(self):
        user = user_of(self.cookie())

        if self.path == '/who':
            # whose request this is; nothing, if nobody's
            self.answer(204, headers={'X-User': user} if user else {})
        elif self.path == '/':
            self.answer(200, HELLO % html.escape(user) if user else FORM)
        else:
            self.answer(404, 'There is no such page.')

    def do_POST(self):
        fields = self.fields()

        if fields is None:
            self.answer(413, 'That is too much.')
        elif not self.is_own_page():
            self.answer(403, 'Another site has sent you here.')
        elif self.path == '/login':
            self.log_in(fields.get('name', [''])[0],
                        fields.get('password', [''])[0])
        elif self.path == '/logout':
            sessions.pop(key_of(self.cookie()), None)
            self.go_home('', 0)
        else:
            self.answer(404, 'There is no such page.')

    def log_in(self, name, password):
        if is_password(self.server.users, name, password):
            self.log_message('%s has logged in', name)
            self.go_home(begin_session(name), LASTS)
        else:
            self.log_message('a wrong name or password')
            self.answer(403, '<p>Name or password are wrong.</p>' + FORM)

    # HttpOnly: no script can read it; SameSite: no other site can use it to
    # write; Secure: it is never sent without TLS
    def go_home(self, cookie, lasts):
        secure = '; Secure' if self.scheme() == 'https' else ''
        self.answer(303, headers={
            'Location': '/',
            'Set-Cookie': f'session={cookie}; Path=/; Max-Age={lasts}; '
                          f'HttpOnly; SameSite=Lax{secure}'})

    def answer(self, status, body='', headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Cache-Control', 'no-store')
        if status not in (204, 303):
            self.send_header('Content-Type', 'text/html; charset=utf-8')
        self.end_headers()
        if body:
            self.wfile.write((PAGE % body).encode())

    def cookie(self):
        try:
            found = SimpleCookie(self.headers.get('Cookie', ''))
        except CookieError:
            return ''
        return found['session'].value if 'session' in found else ''

    def fields(self):
        length = self.headers.get('Content-Length', '0')
        if not length.isdigit() or int(length) > 4096:
            return None
        body = self.rfile.read(int(length)).decode('utf-8', 'replace')
        return parse_qs(body)

    # a browser tells with each POST which site the form was of
    def is_own_page(self):
        own = f'{self.scheme()}://{self.headers.get("Host")}'
        return self.headers.get('Origin', own) == own

    def scheme(self):
        return self.headers.get('X-Forwarded-Proto')

    def log_request(self, *args):
        pass


def serve(users, port):
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(('127.0.0.1', int(port)), Login)
    server.users = users
    server.serve_forever()


if __name__ == '__main__':
    commands = {'add': add_user, 'serve': serve}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit('login.py add FILE NAME | login.py serve FILE PORT')
    commands[sys.argv[1]](*sys.argv[2:])
