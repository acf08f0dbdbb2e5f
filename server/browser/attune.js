// Collects what shoppers do in a shop's pages. See docs/browser.md.
(function (w, d) {
	'use strict';
	var prefix = 'EVENT_TYPE_';

	function random() {
		return Array.from(crypto.getRandomValues(new Uint8Array(16)), function (b) {
			return (b + 256).toString(16).slice(1);
		}).join('');
	}

	// What a browser may refuse to store is kept in memory.
	function keep(where, key, value) {
		try {
			if (value === undefined) return w[where].getItem(key);
			if (value === null) w[where].removeItem(key);
			else w[where].setItem(key, value);
		} catch (e) { return null; }
	}

	w.attune = function (o) {
		var name = 'attune:' + o.shop, url = o.url + '/v1/shops/' + encodeURIComponent(o.shop) + '/events:batch';
		var batch = o.batch || 50, every = o.flushMs || 2000, most = 1000;
		var queue = [], allowed = false, session, user = o.user, timer, sending = false, failed = 0;
		var seen = {}, watched, page, since = 0, own = name + ':' + random(), release;

		// Each page keeps a queue of its own, so that no tab writes over another's.
		function save() { keep('localStorage', own, queue.length ? JSON.stringify(queue) : null); }

		// The queues of other pages of this shop, by key.
		function others() {
			try {
				return Object.keys(w.localStorage).filter(function (k) { return (k === name || k.indexOf(name + ':') === 0) && k !== own; });
			} catch (e) { return []; }
		}

		// While a page lives it holds the lock of its queue; what was left by one
		// that is gone is sent by the next. Where there are no locks a living page's
		// events are taken too: their ids make that harmless.
		function adopt() {
			others().forEach(function (k) {
				if (!navigator.locks) return take(k);
				navigator.locks.request(k, { ifAvailable: true }, function (free) { if (free) take(k); });
			});
		}

		function take(k) {
			if (!allowed) return;
			var more;
			try { more = JSON.parse(keep('localStorage', k)) || []; } catch (e) { more = []; }
			queue = more.concat(queue).slice(-most);
			save();
			keep('localStorage', k, null);
			if (queue.length) wait(0);
		}

		function hold() {
			if (navigator.locks) navigator.locks.request(own, function () { return new Promise(function (done) { release = done; }); });
		}

		function track(type, fields) {
			if (!allowed) return;
			var e = { id: random(), type: prefix + type.toUpperCase(), session: session, time: new Date().toISOString() };
			if (user) e.user = user;
			if (o.context) e.context = o.context;
			for (var k in fields) if (fields[k] !== undefined) e[k] = fields[k];
			queue.push(e);
			if (queue.length > most) queue.splice(sending ? batch : 0, queue.length - most);
			save();
			if (queue.length >= batch && !failed) flush(); else wait(every);
		}

		function wait(ms) { if (!timer) timer = setTimeout(flush, ms); }

		function body(events) { return JSON.stringify({ events: events }); }

		function post(events, leaving) {
			var h = { 'Content-Type': 'application/json' };
			if (o.key) h.Authorization = 'Bearer ' + o.key;
			return fetch(url, { method: 'POST', headers: h, body: body(events), keepalive: !!leaving, credentials: 'omit' });
		}

		function flush() {
			clearTimeout(timer);
			timer = 0;
			if (!allowed || sending || !queue.length) return;
			var events = queue.slice(0, batch), ids = {};
			events.forEach(function (e) { ids[e.id] = 1; });
			sending = true;
			post(events).then(function (r) {
				// What the server cannot take now is sent again; what it will never take is not.
				if (r.status === 429 || r.status === 401 || r.status === 403 || r.status >= 500) throw r.status;
				failed = 0;
				queue = queue.filter(function (e) { return !ids[e.id]; });
				save();
			}).catch(function () { failed++; }).then(function () {
				sending = false;
				if (queue.length) wait(failed ? Math.min(60000, (o.retryMs || 1000) * Math.pow(2, failed - 1)) * (0.5 + Math.random() / 2) : 0);
			});
		}

		// On leaving, all is sent without waiting for the answer and stays stored
		// for the next page, which sends it again: the ids make that harmless.
		function leave() {
			spent();
			for (var rest = queue.slice(-3 * batch); allowed && rest.length;) {
				var part = rest.splice(0, batch);
				while (part.length > 1 && body(part).length > 60000) rest.unshift(part.pop());
				if (o.key || !navigator.sendBeacon || !navigator.sendBeacon(url, body(part))) post(part, true).catch(function () {});
			}
		}

		function spent() {
			if (page && since) {
				var s = (Date.now() - since) / 1000;
				if (s >= 1) track('dwell', { item: page, value: Math.min(s, 86400) });
			}
			since = 0;
		}

		function about(el) {
			var a = el.dataset;
			return {
				item: a.attuneItem, surface: a.attuneSurface || o.surface, recommendation_id: a.attuneRecommendation,
				position: a.attunePosition ? +a.attunePosition : undefined
			};
		}

		function look(entries) {
			entries.forEach(function (x) {
				var el = x.target;
				clearTimeout(el.attuneTimer);
				if (x.isIntersecting) el.attuneTimer = setTimeout(function () {
					var f = about(el), key = [f.item, f.recommendation_id, f.position].join('\n');
					if (allowed && !seen[key]) { seen[key] = 1; track('impression', f); }
				}, o.seenMs || 500);
			});
		}

		function observe() {
			if (!watched) return;
			d.querySelectorAll('[data-attune-item]').forEach(function (el) {
				if (!el.attuneSeen) { el.attuneSeen = 1; watched.observe(el); }
			});
		}

		function start() {
			session = keep('sessionStorage', name) || random();
			keep('sessionStorage', name, session);
			hold();
			adopt();
			setTimeout(adopt, o.adoptMs || 3000); // a page that was just left may hold its lock for a moment
			if (w.IntersectionObserver) {
				watched = new IntersectionObserver(look, { threshold: 0.5 });
				new MutationObserver(observe).observe(d.documentElement, { childList: true, subtree: true });
				observe();
			}
			since = Date.now();
			if (page) track('view', { item: page });
			flush();
		}

		d.addEventListener('click', function (c) {
			var el = c.target.closest && c.target.closest('[data-attune-item]');
			if (el) track('click', about(el));
		}, true);
		d.addEventListener('visibilitychange', function () {
			if (d.visibilityState === 'hidden') leave(); else since = Date.now();
		});
		w.addEventListener('pagehide', leave);
		w.addEventListener('online', function () { failed = 0; flush(); });

		var api = {
			track: track, flush: flush, observe: observe,
			pending: function () { return queue.length; },
			identify: function (id) { user = id; },
			view: function (item) { spent(); page = item; since = Date.now(); track('view', { item: item }); },
			consent: function (yes) {
				if (yes === allowed) return;
				allowed = yes;
				if (yes) return start();
				if (watched) watched.disconnect();
				d.querySelectorAll('[data-attune-item]').forEach(function (el) { el.attuneSeen = 0; });
				queue = []; seen = {}; watched = null;
				save();
				others().forEach(function (k) { keep('localStorage', k, null); });
				if (release) release();
				release = null;
				keep('sessionStorage', name, null);
			}
		};
		if (o.consent === true) api.consent(true);
		return api;
	};
})(window, document);
