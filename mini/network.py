"""The mini model in the stock classes of diffusers and transformers, with a forward pass that knows about padding."""

from __future__ import annotations

import torch
from diffusers.models.transformers.ace_step_transformer import (
    AceStepTransformer1DModel,
    _ace_step_rotary_freqs,
    _create_4d_mask,
)
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepConditionEncoder, _pack_sequences
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

from mini.composer.tempo import BANK_FRAMES, CHANNELS, clock_bank

WIDTH, LAYERS, HEADS, HEAD, INNER = 160, 5, 5, 32, 448
TEXT_WIDTH, TEXT_LAYERS = 128, 2
BEAT_LAYER = 2  # the states before this layer are asked for the beat while training
REFERENCE_FRAMES = 80  # of the 750 the timbre encoder hears its one layer sees 64, from the first, which it keeps
WINDOW = 64  # DiT tokens a layer sees to either side: 5 s, so a long piece is made the way a short one is


class Mini(nn.Module):
    """Text encoder, condition encoder and DiT, trained together."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        attention = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HEAD}
        self.text = Qwen3Model(
            Qwen3Config(
                vocab_size=vocabulary,
                hidden_size=TEXT_WIDTH,
                intermediate_size=TEXT_WIDTH * 3,
                num_hidden_layers=TEXT_LAYERS,
                num_attention_heads=4,
                num_key_value_heads=4,
                head_dim=32,
                max_position_embeddings=4096,
            )
        )
        self.condition = AceStepConditionEncoder(
            hidden_size=WIDTH,
            intermediate_size=INNER,
            text_hidden_dim=TEXT_WIDTH,
            timbre_hidden_dim=CHANNELS,
            num_lyric_encoder_hidden_layers=1,
            num_timbre_encoder_hidden_layers=1,
            rope_theta=10000.0,
            sliding_window=WINDOW,
            **attention,
        )
        self.dit = AceStepTransformer1DModel(
            hidden_size=WIDTH,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            in_channels=3 * CHANNELS,
            audio_acoustic_hidden_dim=CHANNELS,
            patch_size=2,
            rope_theta=10000.0,
            sliding_window=WINDOW,
            layer_types=["sliding_attention"] * LAYERS,
            is_turbo=True,
            model_version="turbo",
            **attention,
        )
        self.condition.silence_latent = torch.from_numpy(clock_bank(BANK_FRAMES))[None]
        self.beat_states = torch.zeros(0)  # `[B, T / 2, WIDTH]` of the last forward
        _open_gates(self.dit)

    def encode(
        self,
        tokens: Tensor,
        mask: Tensor,
        words: Tensor,
        word_mask: Tensor,
        references: Tensor | None = None,
        whose: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encoder states `[B, L, WIDTH]` and their mask, packed as the condition encoder packs them.

        `references` `[N, REFERENCE_FRAMES, 64]` are what rows `whose` `[N]` sound like; the others get silence.
        """
        states = self.text(input_ids=tokens, attention_mask=mask).last_hidden_state
        text = self.condition.text_projector(states)
        embedded = self.text.get_input_embeddings()(words)
        lyrics = self.condition.lyric_encoder(inputs_embeds=embedded, attention_mask=word_mask)
        heard = self.condition.silence_latent[:, :REFERENCE_FRAMES]
        if references is not None:
            heard = torch.cat([heard, references])
        timbre, _ = self.condition.timbre_encoder(heard, torch.arange(len(heard), device=tokens.device))
        choice = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        if whose is not None:
            choice[whose] = torch.arange(1, len(heard), device=tokens.device)
        timbre = timbre[choice]
        packed, packed_mask = _pack_sequences(lyrics, timbre, word_mask, word_mask.new_ones(len(tokens), 1))
        return _pack_sequences(packed, text, packed_mask, mask)

    def velocity(self, noisy: Tensor, t: Tensor, states: Tensor, mask: Tensor, context: Tensor) -> Tensor:
        """The DiT's forward with padded conditions masked; without padding it equals the stock forward.

        `noisy` `[B, T, 64]`, `t` `[B]`, `context` `[B, T, 128]`; T even.
        """
        dit = self.dit
        temb, projected = dit.time_embed(t)
        temb_r, projected_r = dit.time_embed_r(torch.zeros_like(t))
        temb, projected = temb + temb_r, projected + projected_r
        hidden = dit.proj_in_conv(torch.cat([context, noisy], dim=-1).transpose(1, 2)).transpose(1, 2).contiguous()
        encoded = dit.condition_embedder(states)
        length = hidden.shape[1]
        rotary = _ace_step_rotary_freqs(length, dit.head_dim, dit.rope_theta, hidden.device, hidden.dtype)
        window = _create_4d_mask(
            seq_len=length,
            dtype=hidden.dtype,
            device=hidden.device,
            sliding_window=WINDOW,
            is_sliding_window=True,
            is_causal=False,
        )
        for index, layer in enumerate(dit.layers):
            if index == BEAT_LAYER:
                self.beat_states = hidden
            hidden = layer(
                hidden_states=hidden,
                position_embeddings=rotary,
                temb=projected,
                attention_mask=window,
                encoder_hidden_states=encoded,
                encoder_attention_mask=mask[:, None, None].bool(),
            )
        shift, scale = (dit.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        hidden = dit.norm_out(hidden) * (1 + scale) + shift
        return dit.proj_out_conv(hidden.transpose(1, 2)).transpose(1, 2)

    def silence(self, starts: Tensor, frames: int) -> Tensor:
        """What silence holds from frame `starts` `[B]` on: the clocks, `[B, frames, 64]`."""
        where = starts[:, None] + torch.arange(frames, device=starts.device)
        clocks: Tensor = self.condition.silence_latent[0][where]
        return clocks

    def context(self, starts: Tensor, frames: int) -> Tensor:
        """Context latents `[B, frames, 128]` of text2music from frame `starts` `[B]` on: clocks, then ones."""
        clocks = self.silence(starts, frames)
        return torch.cat([clocks, torch.ones_like(clocks)], dim=-1)


def _open_gates(dit: AceStepTransformer1DModel) -> None:
    """Start with half-open residual gates and a silent output: minutes of training instead of hours."""
    for layer in dit.layers:
        layer.scale_shift_table.data[:, [2, 5]] = 0.5
    nn.init.zeros_(dit.proj_out_conv.weight)
    nn.init.zeros_(dit.proj_out_conv.bias)
    for embed in (dit.time_embed, dit.time_embed_r):
        nn.init.normal_(embed.time_proj.weight, std=0.01)
        nn.init.zeros_(embed.time_proj.bias)
