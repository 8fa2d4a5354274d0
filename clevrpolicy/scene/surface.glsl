#version 330 core
// The look of the ground, of rubber and of metal under three lamps with soft shadows.
// Vertices with a color belong to objects. The color's alpha is the object's index, plus a half for metal: with
// 2.0 object 2 is of rubber, with 2.5 it is of metal.

struct SpotLight {
    vec3 color;
    float intensity;
    vec3 position;
    sampler2DShadow shadow_map;
    mat4 light_matrix;
};

uniform SpotLight spot_lights[3];
uniform vec3 cam_pos;
uniform vec4 occluders[10];  // center and radius of each object, approximated by a ball
uniform vec3 occluder_colors[10];
uniform int occluder_count;

in vec3 frag_position;
in vec3 frag_normal;
#ifdef COLOR_0_LOC
in vec4 color_multiplier;
#endif

out vec4 frag_color;

const vec3 GROUND = vec3(0.47, 0.47, 0.475);
const float PENUMBRA = 0.0065;  // width of a shadow's soft edge, as a share of the shadow map
const int TAPS = 12;

// The visible share of a lamp: the mean of samples on a spiral, each filtered by the hardware.
float lit(sampler2DShadow map, mat4 to_lamp) {
    vec4 seen = to_lamp * vec4(frag_position, 1.0);
    vec3 place = seen.w > 0.0 ? seen.xyz / seen.w * 0.5 + 0.5 : vec3(-1.0);  // behind a lamp everything is lit
    place.z -= 0.0002;
    float share = 0.0;
    for (int tap = 0; tap < TAPS; tap++) {
        float turn = 2.399963 * float(tap);
        float reach = PENUMBRA * sqrt((float(tap) + 0.5) / float(TAPS));
        share += texture(map, place + vec3(reach * cos(turn), reach * sin(turn), 0.0));
    }
    return share / float(TAPS);
}

// Light of one lamp on the surface. It fades more slowly than light from a point, because the lamps are large.
vec3 arriving(int lamp, float share, vec3 normal) {
    vec3 way = spot_lights[lamp].position - frag_position;
    float square = dot(way, way);
    float slope = max(dot(normal, way) * inversesqrt(square), 0.0);
    return spot_lights[lamp].color * (spot_lights[lamp].intensity * slope * share / (25.0 + square));
}

// The share of the surroundings that is not occluded, with every other object approximated by a ball.
float openness(vec3 normal, int self) {
    float open = 1.0;
    for (int index = 0; index < occluder_count; index++) {
        vec3 way = occluders[index].xyz - frag_position;
        float square = dot(way, way);
        float slope = clamp(dot(normal, way) * inversesqrt(square), 0.0, 1.0);
        float size = min(occluders[index].w * occluders[index].w / square, 1.0);
        open *= index == self ? 1.0 : 1.0 - slope * size;
    }
    return open;
}

#ifdef COLOR_0_LOC
float highlight(int lamp, vec3 mirrored, float sharpness) {
    vec3 way = normalize(spot_lights[lamp].position - frag_position);
    return pow(max(dot(mirrored, way), 0.0), sharpness);
}

// A square soft box around a lamp, as seen along a ray: 1 inside, 0 outside.
float soft_box(vec3 ray, vec3 way, float half_side, float blur) {
    vec3 side = normalize(vec3(way.y, -way.x, 0.0));
    vec3 top = cross(side, way);
    float ahead = dot(ray, way);
    vec2 off = abs(vec2(dot(ray, side), dot(ray, top))) / max(ahead, 0.01);
    vec2 inside = 1.0 - smoothstep(half_side - blur, half_side + blur, off);
    return ahead > 0.0 ? inside.x * inside.y : 0.0;
}

// The studio without its objects: the lit ground below the horizon, darkness with lamps above. Vertical
// surfaces mirror only the ground, so panels around it add the streaks that make surfaces look like metal.
vec3 studio(vec3 ray, float blur) {
    float reach = frag_position.z / max(-ray.z, 0.02);
    vec3 met = frag_position + ray * reach;
    vec2 bearing = normalize(ray.xy + vec2(1e-4, 0.0));
    float panels = smoothstep(0.2, 0.9, abs(dot(bearing, vec2(0.28, 0.96))));
    float contact = 1.0 - 0.75 * exp(-1.8 * reach);
    vec3 ground = GROUND * contact * mix(0.45, 1.5, panels) / (1.0 + 0.01 * dot(met.xy, met.xy));
    vec3 sky = mix(vec3(0.45, 0.46, 0.48), vec3(0.04, 0.045, 0.06), smoothstep(0.0, 0.7, ray.z));
    vec3 seen = mix(ground, sky, smoothstep(-0.04 - blur, 0.04 + blur, ray.z));
    for (int lamp = 0; lamp < 3; lamp++) {
        vec3 way = normalize(spot_lights[lamp].position - frag_position);
        seen += soft_box(ray, way, 0.28, 0.04 + blur) * spot_lights[lamp].color * 1.6;
    }
    return seen;
}

// What is seen along a ray from the surface: the studio, and the nearest other object as a ball.
vec3 surroundings(vec3 ray, float blur, int self) {
    vec3 seen = studio(ray, blur);
    float nearest = 1e6;
    for (int index = 0; index < occluder_count; index++) {
        vec3 way = occluders[index].xyz - frag_position;
        float along = dot(ray, way);
        float miss = sqrt(max(dot(way, way) - along * along, 0.0)) / occluders[index].w;
        bool met = index != self && along > 0.0 && along < nearest && miss < 1.05;
        float above = (along * ray.z - way.z) / occluders[index].w;
        vec3 ball = occluder_colors[index] * mix(0.25, 1.0, clamp(0.5 + 0.5 * above, 0.0, 1.0));
        seen = met ? mix(ball, seen, smoothstep(0.85, 1.05, miss)) : seen;
        nearest = met ? along : nearest;
    }
    return seen;
}
#endif

void main() {
    vec3 normal = normalize(frag_normal);
    float key = lit(spot_lights[0].shadow_map, spot_lights[0].light_matrix);
    float fill = lit(spot_lights[1].shadow_map, spot_lights[1].light_matrix);
    float back = lit(spot_lights[2].shadow_map, spot_lights[2].light_matrix);
    vec3 light = arriving(0, key, normal) + arriving(1, fill, normal) + arriving(2, back, normal);
#ifdef COLOR_0_LOC
    vec3 base = color_multiplier.rgb;
    float mark = color_multiplier.a + 0.25;  // so that rounding during interpolation does not matter
    vec3 view = normalize(frag_position - cam_pos);
    vec3 mirrored = reflect(view, normal);
    float edge = 1.0 - max(-dot(view, normal), 0.0);
    float fresnel = edge * edge * edge * edge;
    int self = int(floor(mark));
    float open = openness(normal, self);
    vec3 ambient = mix(GROUND * 0.6, vec3(0.40), normal.z * 0.5 + 0.5) * open;
    float gleam = key * highlight(0, mirrored, 10.0) + 0.5 * fill * highlight(1, mirrored, 10.0);
    vec3 rubber = base * (light + ambient) + 0.05 * gleam + 0.05 * fresnel * open;
    vec3 tint = mix(base, vec3(1.0), 0.5 * fresnel);
    vec3 metal = tint * (1.7 * surroundings(mirrored, 0.02, self) * mix(0.4, 1.0, open) + 0.2 * light);
    vec3 color = fract(mark) > 0.5 ? metal : rubber;
#else
    float away = length(frag_position.xy);
    float ambient = mix(0.29 * openness(normal, -1), 0.85, smoothstep(3.0, 26.0, away));
    vec3 color = GROUND * (light + ambient);
#endif
    frag_color = vec4(pow(color / (1.0 + 0.12 * color), vec3(1.0 / 2.2)), 1.0);
}
