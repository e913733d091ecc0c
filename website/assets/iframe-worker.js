// Search on pages that are opened as files. A browser starts no worker from file:, so the worker's
// script runs in a hidden frame, with the part of a worker's interface that the theme uses.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc =
        "<script>postMessage = m => parent.dispatchEvent(new CustomEvent('frame-answer', {detail: m}));" +
        "importScripts = async (...urls) => { for (const url of urls) await new Promise(done => {" +
        "const tag = document.createElement('script'); tag.src = url; tag.onload = done;" +
        "document.body.append(tag); }); };<\/script>" +
        `<body><script src="${url}"><\/script>`;
      this.ready = new Promise((done) => this.frame.addEventListener("load", done, { once: true }));
      addEventListener("frame-answer", (e) =>
        this.dispatchEvent(new MessageEvent("message", { data: e.detail })));
      document.documentElement.append(this.frame);
    }
    postMessage(data) {
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
