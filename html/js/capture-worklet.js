// Copyright (C) Spaces for nginx contributors

// In the audio thread: samples in packets of 20 ms, for the encoder.

class Capture extends AudioWorkletProcessor {
    constructor() {
        super();
        this.frame = new Float32Array(Math.round(sampleRate / 50));
        this.filled = 0;
    }

    process([[input]]) {
        for (let i = 0; input && i < input.length;) {
            const n = Math.min(input.length - i,
                               this.frame.length - this.filled);
            this.frame.set(input.subarray(i, i + n), this.filled);
            this.filled += n;
            i += n;
            if (this.filled === this.frame.length) {
                this.port.postMessage(this.frame, [this.frame.buffer]);
                this.frame = new Float32Array(Math.round(sampleRate / 50));
                this.filled = 0;
            }
        }
        return true;
    }
}

registerProcessor('capture', Capture);
